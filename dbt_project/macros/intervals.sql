{#-
    Intervals at 95 % and what goes with them, in doubles within a single row: what is compared or summed afterwards is to be
    cast to a decimal first. Counts may be of any type, and are not null and not 0.
-#}

{#- The quantile of the normal distribution at 0.975. -#}
{% macro normal_quantile() -%}
    1.959963984540054e0
{%- endmacro %}

{#-
    An end, `-` or `+`, of the score interval of a share, hits / trials (Wilson 1927, Journal of the American Statistical
    Association 22:209-212). It holds its level with few trials and shares near 0 or 1, where p ± z × error does not.
-#}
{% macro wilson(hits, trials, end) -%}
    {%- set z = normal_quantile() -%}
    {%- set n, p = 'cast(' ~ trials ~ ' as double)', '(cast(' ~ hits ~ ' as double) / cast(' ~ trials ~ ' as double))' -%}
    least(
        greatest(
            ({{ p }} + {{ z }} * {{ z }} / (2 * {{ n }}) {{ end }} {{ z }} * sqrt(
                ({{ p }} * (1 - {{ p }}) + {{ z }} * {{ z }} / (4 * {{ n }})) / {{ n }}
            )) / (1 + {{ z }} * {{ z }} / {{ n }}),
            0
        ),
        1
    )
{%- endmacro %}

{#-
    The same with a correction for continuity (Newcombe 1998, Statistics in Medicine 17:857-872, method 4; prop.test of R).
    It is wider, so that one value lies outside of it by chance no more often than it says, also where one hit more or less
    is a jump: of few trials and rare hits.
-#}
{% macro wilson_with_correction(hits, trials, end) -%}
    {%- set z = normal_quantile() -%}
    {%- set k, n = 'cast(' ~ hits ~ ' as double)', 'cast(' ~ trials ~ ' as double)' -%}
    {%- set opposite = '+' if end == '-' else '-' -%}
    case
        {%- if end == '-' %}
        when {{ hits }} = 0 then 0e0
        {%- else %}
        when {{ hits }} = {{ trials }} then 1e0
        {%- endif %}
        else (
            2 * {{ k }} + {{ z }} * {{ z }} {{ end }} 1 {{ end }} {{ z }} * sqrt(
                {{ z }} * {{ z }} {{ end }} 2 - 1 / {{ n }}
                + 4 * {{ k }} / {{ n }} * ({{ n }} - {{ k }} {{ opposite }} 1)
            )
        ) / (2 * ({{ n }} + {{ z }} * {{ z }}))
    end
{%- endmacro %}

{#-
    An end of the interval of the difference of two independent shares, the first minus the second, made of the Wilson
    intervals of each (Newcombe 1998, Statistics in Medicine 17:873-890, method 10).
-#}
{% macro newcombe(hits, trials, other_hits, other_trials, end) -%}
    {%- set p = '(cast(' ~ hits ~ ' as double) / cast(' ~ trials ~ ' as double))' -%}
    {%- set q = '(cast(' ~ other_hits ~ ' as double) / cast(' ~ other_trials ~ ' as double))' -%}
    {%- set opposite = '+' if end == '-' else '-' -%}
    ({{ p }} - {{ q }} {{ end }} sqrt(
        power({{ p }} - {{ wilson(hits, trials, end) }}, 2)
        + power({{ q }} - {{ wilson(other_hits, other_trials, opposite) }}, 2)
    ))
{%- endmacro %}

{#-
    The odds ratio of a table of four counts, and an end of its interval (Woolf 1955, Annals of Human Genetics 19:251-253).
    Where a count is 0, half is added to each (Haldane 1956; Anscombe 1956).
-#}
{% macro odds_ratio(hits, misses, other_hits, other_misses, end=none) -%}
    {%- set cells = [] -%}
    {%- for count in [hits, misses, other_hits, other_misses] -%}
        {%- do cells.append(
            '(' ~ count ~ ' + case when least(' ~ hits ~ ', ' ~ misses ~ ', ' ~ other_hits ~ ', ' ~ other_misses
            ~ ') = 0 then 0.5e0 else 0e0 end)'
        ) -%}
    {%- endfor -%}
    exp(
        ln({{ cells[0] }} * {{ cells[3] }} / ({{ cells[1] }} * {{ cells[2] }}))
        {%- if end %}
        {{ end }} {{ normal_quantile() }}
        * sqrt(1 / {{ cells[0] }} + 1 / {{ cells[1] }} + 1 / {{ cells[2] }} + 1 / {{ cells[3] }})
        {%- endif %}
    )
{%- endmacro %}

{#-
    The quantile of Student's distribution at 0.975. Beyond the tabled degrees of freedom it is the expansion around the
    normal one (Abramowitz & Stegun 1964, 26.7.5), which is right to 1e-9 there.
-#}
{% macro student_quantile(degrees) -%}
    {%- set tabled = [
        12.706204736175, 4.302652729749, 3.182446305284, 2.776445105198, 2.570581835636, 2.446911851145,
        2.364624251593, 2.306004135204, 2.262157162798, 2.228138851986, 2.200985160092, 2.178812829667,
        2.160368656463, 2.144786687918, 2.131449545560, 2.119905299221, 2.109815577833, 2.100922040241,
        2.093024054408, 2.085963447266, 2.079613844728, 2.073873067904, 2.068657610419, 2.063898561628,
        2.059538552753, 2.055529438643, 2.051830516480, 2.048407141795, 2.045229642133, 2.042272456301,
        2.039513446396, 2.036933343460, 2.034515297449, 2.032244509318, 2.030107928250, 2.028094000980,
        2.026192463029, 2.024394163912, 2.022690920037, 2.021075390306, 2.019540970441, 2.018081702818,
        2.016692199228, 2.015367574444, 2.014103388881, 2.012895598919, 2.011740513730, 2.010634757624,
        2.009575237129, 2.008559112101, 2.007583770316, 2.006646805062, 2.005745995318, 2.004879288188,
        2.004044783289, 2.003240718848, 2.002465459291, 2.001717484145, 2.000995378088, 2.000297822014
    ] -%}
    {%- set v = 'cast(' ~ degrees ~ ' as double)' -%}
    case {{ degrees }}
        {%- for quantile in tabled %}
        when {{ loop.index }} then {{ '%.12f' % quantile }}e0
        {%- endfor %}
        else
            {{ normal_quantile() }}
            + 2.372271230299e0 / {{ v }}
            + 2.822498615740e0 / power({{ v }}, 2)
            + 2.555849679508e0 / power({{ v }}, 3)
            + 1.589534053394e0 / power({{ v }}, 4)
    end
{%- endmacro %}
