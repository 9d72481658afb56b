-- What a database administrator runs once, as a superuser, in the database that is to serve the figures. To run it
-- again changes nothing. Afterwards: \password kpi_publisher
do $$
declare
    role_name text;
begin
    -- Rights are granted to these three; people's logins are made members of them.
    foreach role_name in array array['kpi_analyst', 'kpi_head', 'kpi_manager'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I nologin', role_name);
        end if;
    end loop;

    -- Publishes releases: owns the schema, and nothing else.
    if not exists (select from pg_roles where rolname = 'kpi_publisher') then
        create role kpi_publisher login;
    end if;
    execute format('grant connect, temporary on database %I to kpi_publisher', current_database());
    execute format('grant connect on database %I to kpi_analyst, kpi_head, kpi_manager', current_database());

    if not exists (select from pg_namespace where nspname = 'reporting') then
        create schema reporting authorization kpi_publisher;
    end if;
    revoke all on schema reporting from public;
    grant usage on schema reporting to kpi_analyst, kpi_head, kpi_manager;
end
$$;
