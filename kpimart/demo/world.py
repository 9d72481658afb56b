"""Who and what there is in the demo company Lumenwerk, a maker of laboratory instruments. Data only.

Amounts are in whole euros, durations in days, hours of the day in company time (Europe/Berlin, beyond 24 for a team
that works overseas), chances between 0 and 1. A `strength` multiplies the odds of every step towards winning.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

TIME_ZONE = ZoneInfo("Europe/Berlin")
BASE_CURRENCY = "EUR"


@dataclass(frozen=True)
class Department:
    """A node of the sales organisation, and how the managers who sit directly in it sell; `plan` is for a month."""

    id: str
    name: str
    parent: str | None
    head: str
    founders: int = 0
    strength: float = 1.0
    deal_size: float = 1.0
    leads_a_day: float = 0.0
    prospects_a_day: float = 0.0
    response_days: float = 0.5
    working_hours: tuple[float, float] = (8.5, 18.0)
    countries: tuple[str, ...] = ()
    dollar_share: float = 0.0
    new_pipeline: str = "new_business"
    plan: int = 0


DEPARTMENTS = (
    Department("sales", "Sales", None, "Margarethe Vogt"),
    Department(
        "europe",
        "Europe",
        "sales",
        "Étienne Marchand",
        founders=1,
        strength=1.2,
        deal_size=1.6,
        leads_a_day=0.2,
        prospects_a_day=0.15,
        countries=("Germany", "Netherlands", "France"),
        plan=65_000,
    ),
    Department(
        "dach",
        "DACH",
        "europe",
        "Jürgen Österreicher",
        founders=7,
        strength=1.5,
        deal_size=1.15,
        leads_a_day=2.5,
        prospects_a_day=0.4,
        response_days=0.2,
        countries=("Germany", "Germany", "Austria", "Switzerland"),
        plan=330_000,
    ),
    Department(
        "nordics",
        "Nordics",
        "europe",
        "Ingrid Åkesson",
        founders=5,
        strength=1.0,
        leads_a_day=1.8,
        prospects_a_day=0.4,
        countries=("Sweden", "Denmark", "Norway", "Finland"),
        plan=190_000,
    ),
    Department(
        "south",
        "Southern Europe",
        "europe",
        "Giulia Ferrarese",
        founders=5,
        strength=0.58,
        deal_size=0.8,
        leads_a_day=1.8,
        prospects_a_day=0.4,
        response_days=1.4,
        countries=("Italy", "Spain", "Portugal", "France"),
        plan=95_000,
    ),
    Department("overseas", "Overseas", "sales", "Desmond Achterberg"),
    # New York's office hours, seen from Berlin: the working day ends after midnight.
    Department(
        "north_america",
        "North America",
        "overseas",
        "Loretta McKinnon",
        founders=6,
        strength=1.1,
        deal_size=1.1,
        leads_a_day=2.1,
        prospects_a_day=0.45,
        response_days=0.4,
        working_hours=(15.0, 25.5),
        countries=("United States", "United States", "Canada"),
        dollar_share=1.0,
        plan=255_000,
    ),
    Department(
        "partners",
        "Partners",
        "overseas",
        "Haruka Minamoto",
        founders=4,
        strength=1.0,
        deal_size=1.3,
        leads_a_day=1.1,
        prospects_a_day=0.4,
        response_days=0.8,
        countries=("Japan", "United Kingdom", "Poland", "United States"),
        dollar_share=0.35,
        new_pipeline="partner",
        plan=225_000,
    ),
)

# In the order in which they are hired.
PEOPLE = (
    "Anneliese Brückner", "Matteo Colombari", "Saoirse Ní Bhriain", "Tomasz Wiśniewski", "Freja Lindqvist",
    "Kwame Boateng", "Elif Yıldırım", "Jonas Hartwig", "Chloé Dubreuil", "Rasmus Sørensen", "Priya Raghunathan",
    "Diego Valdivieso", "Zuzana Havlíčková", "Oluwaseun Adeyemi", "Mikael Lehtonen", "Beatriz Figueiredo",
    "Harrison Whitlock", "Nadia El Amrani", "Björn Magnússon", "Lucía Echeverría", "Kenji Nakagawa",
    "Amelia Thornbury", "Stefan Grünwald", "Marisol Quintanilla", "Pavel Dvořák", "Thandiwe Mokoena",
    "Sebastian Krüger", "Yasmin Haddad", "Ole Kristiansen", "Carolina Peixoto", "Declan O'Rourke",
    "Mei-Ling Chua", "Valentina Rossetti", "Arjun Deshpande", "Katarzyna Żurawska", "Felix Obermüller",
    "Siobhán Gallagher", "Rafael Montenegro", "Annika Bergström", "Ibrahim Kaplan", "Charlotte Pemberton",
    "Léo Fontanelle", "Miriam Goldfarb", "Viktor Halász", "Ngozi Chukwu", "Gustaf Nyberg", "Paola Bellincioni",
    "Travis Holloway", "Sunniva Haugen", "Emeka Onwudiwe", "Ludmila Petrenko", "Conrad Eisenhauer",
    "Inés Carrasco", "Tariq Mansouri", "Hedvig Rönnberg", "Bartholomew Finch", "Aylin Demirtaş",
    "Nils Petersohn", "Maja Jovanović", "Oscar Villanueva",
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """`price` is of a typical order; a subscription comes up for renewal every year."""

    name: str
    price: int
    weight: float
    is_subscription: bool = False


PRODUCTS = (
    Product("Aurora Spectrometer", 34_000, 1.0),
    Product("Field Kit", 4_800, 2.0),
    Product("Microscope M4", 15_500, 1.4),
    Product("Sample Robot", 58_000, 0.5),
    Product("Calibration Service", 6_200, 1.8, is_subscription=True),
    Product("Lumen Cloud", 9_600, 2.0, is_subscription=True),
    Product("Training", 2_900, 1.2),
)


@dataclass(frozen=True)
class Stage:
    """A step of a pipeline.

    `probability` is to win from here, `advance` to go on rather than be lost, `days` are the mean length of a stay and
    `touches` the mean number of activities in it.
    """

    name: str
    outcome: str
    probability: float
    advance: float = 0.0
    days: float = 0.0
    touches: float = 0.0


@dataclass(frozen=True)
class Pipeline:
    """Open stages in their order, then won, then lost."""

    id: str
    stages: tuple[Stage, ...]

    @property
    def open_stages(self) -> tuple[Stage, ...]:
        return self.stages[:-2]

    @property
    def won(self) -> Stage:
        return self.stages[-2]

    @property
    def lost(self) -> Stage:
        return self.stages[-1]


PIPELINES = {
    pipeline.id: pipeline
    for pipeline in (
        Pipeline(
            "new_business",
            (
                Stage("Qualification", "open", 0.2, advance=0.72, days=6, touches=1.2),
                Stage("Discovery", "open", 0.35, advance=0.72, days=10, touches=1.4),
                Stage("Proposal", "open", 0.5, advance=0.7, days=14, touches=1.4),
                Stage("Negotiation", "open", 0.75, advance=0.78, days=13, touches=1.4),
                Stage("Won", "won", 1.0),
                Stage("Lost", "lost", 0.0),
            ),
        ),
        Pipeline(
            "renewals",
            (
                Stage("Renewal due", "open", 0.7, advance=0.9, days=22, touches=0.8),
                Stage("Renewal offer", "open", 0.8, advance=0.92, days=16, touches=1.0),
                Stage("Renewed", "won", 1.0),
                Stage("Not renewed", "lost", 0.0),
            ),
        ),
        Pipeline(
            "partner",
            (
                Stage("Registered", "open", 0.3, advance=0.78, days=9, touches=0.8),
                Stage("Evaluation", "open", 0.45, advance=0.75, days=21, touches=1.4),
                Stage("Joint offer", "open", 0.65, advance=0.76, days=17, touches=1.2),
                Stage("Partner won", "won", 1.0),
                Stage("Partner lost", "lost", 0.0),
            ),
        ),
    )
}

# Where leads come from: how often, and their chance to become a deal.
LEAD_SOURCES = {"Website": 5.0, "Referral": 1.5, "Trade fair": 1.6, "Campaign": 2.4, "Partner": 1.0}
LEAD_CONVERSION = {"Website": 0.36, "Referral": 0.66, "Trade fair": 0.42, "Campaign": 0.27, "Partner": 0.55}
PROSPECTING = "Cold outreach"
EXISTING_CUSTOMER = "Existing customer"

LOSS_REASONS = {
    "Price": 3.0,
    "Competitor": 2.5,
    "No budget": 2.0,
    "No decision": 2.5,
    "Missing feature": 1.0,
    "Timing": 1.5,
}
ACTIVITIES = {"call": 4.0, "email": 4.0, "meeting": 1.6, "task": 1.4}

# How customers buy: their share, and the mean days from one purchase to the start of the next (None: never again).
BUYING_HABITS: dict[str, tuple[float, float | None]] = {
    "regular": (0.18, 55),
    "occasional": (0.34, 220),
    "once": (0.48, None),
}

# Demand by month (January first) and by weekday (Monday first).
DEMAND_BY_MONTH = (0.92, 1.0, 1.12, 1.02, 1.0, 1.05, 0.88, 0.7, 1.15, 1.12, 1.1, 0.82)
DEMAND_BY_WEEKDAY = (1.15, 1.2, 1.1, 1.05, 0.8, 0.12, 0.08)
SALES_BY_MONTH = (0.8, 0.9, 1.25, 0.9, 0.95, 1.2, 0.85, 0.7, 1.2, 0.95, 1.05, 1.25)
DEMAND_GROWTH = 1.05
PLAN_GROWTH = 1.1

HOLIDAYS = ((1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31))

SEGMENTS = {"University": 2.0, "Pharma": 2.0, "Food": 1.4, "Chemistry": 1.6, "Environment": 1.0, "Hospital": 1.2}
BRANCHES = (
    "Analytik", "Bio", "Biotech", "Care", "Chemicals", "Diagnostics", "Energy", "Foods", "Labs",
    "Life Sciences", "Materials", "Medical", "Nutrition", "Optics", "Pharma", "Polymers", "Research", "Sensors",
    "Systems", "Water",
)  # fmt: skip


@dataclass(frozen=True)
class Country:
    """What account names of a country are made of."""

    families: tuple[str, ...]
    cities: tuple[str, ...]
    legal_form: str


COUNTRIES = {
    "Germany": Country(
        ("Müller", "Schröder", "Weißenfels", "Köhler", "Brandt", "Jäger", "Lorenz", "Haferkamp", "Dörr", "Steinbach"),
        ("Leipzig", "Köln", "Kiel", "München", "Göttingen", "Ulm"),
        "GmbH",
    ),
    "Austria": Country(
        ("Gruber", "Pichler", "Höllriegl", "Zöchling", "Moser", "Wallner", "Ebner"),
        ("Wien", "Graz", "Linz", "Sankt Pölten"),
        "GmbH",
    ),
    "Switzerland": Country(
        ("Zbinden", "Rüegg", "Aeschbacher", "Favre", "Bianchi", "Gerber"), ("Zürich", "Basel", "Genève", "Lugano"), "AG"
    ),
    "Netherlands": Country(
        ("Van Dijk", "De Boer", "Hoekstra", "Vermeulen"), ("Utrecht", "Eindhoven", "Leiden"), "B.V."
    ),
    "France": Country(
        ("Lefèvre", "Châtelain", "Beaumont", "Garçon", "Rivière", "Delacour"),
        ("Lyon", "Besançon", "Nîmes", "Grenoble"),
        "SAS",
    ),
    "Sweden": Country(
        ("Sjögren", "Ekström", "Hallberg", "Nyström", "Åberg"), ("Göteborg", "Malmö", "Uppsala", "Umeå"), "AB"
    ),
    "Denmark": Country(("Kjær", "Østergaard", "Holm", "Nørgaard", "Bech"), ("Aarhus", "Odense", "København"), "A/S"),
    "Norway": Country(("Bjørnstad", "Hagen", "Solberg", "Tveit", "Ødegård"), ("Bergen", "Tromsø", "Trondheim"), "AS"),
    "Finland": Country(("Mäkinen", "Koskela", "Heikkilä", "Rantanen"), ("Turku", "Oulu", "Jyväskylä"), "Oy"),
    "Italy": Country(
        ("Esposito", "Fabbri", "Moretti", "Santoro", "Zanetti"), ("Torino", "Bologna", "Forlì", "Bari"), "S.p.A."
    ),
    "Spain": Country(
        ("Ibáñez", "Castaño", "Herrero", "Muñoz", "Pascual"), ("Málaga", "León", "Zaragoza", "Vigo"), "S.L."
    ),
    "Portugal": Country(("Magalhães", "Conceição", "Teixeira", "Simões"), ("Porto", "Évora", "Braga"), "Lda."),
    "Poland": Country(("Jabłoński", "Zieliński", "Krawczyk", "Wójcik"), ("Łódź", "Kraków", "Gdańsk"), "Sp. z o.o."),
    "United Kingdom": Country(("Ashcroft", "Bramley", "Hathersage", "Wetherby"), ("Leeds", "Bristol", "Dundee"), "Ltd"),
    "Japan": Country(("Kuroda", "Hoshino", "Aizawa", "Takemura"), ("Nagoya", "Sendai", "Kobe"), "K.K."),
    "United States": Country(
        ("Caldwell", "Ridgeway", "Pruitt", "Santiago", "Lindgren", "Okonkwo", "Fairbanks", "Delgado", "Weatherly"),
        ("Boise", "Tulsa", "Raleigh", "Tucson", "Dayton", "Duluth"),
        "Inc.",
    ),
    "Canada": Country(
        ("Tremblay", "MacIsaac", "Bouchard", "Singh"), ("Halifax", "Québec", "Regina", "Trois-Rivières"), "Ltd."
    ),
}

# Named to try the quoting of everything that reads it.
AWKWARD_ACCOUNT = 'Smith, Jones "Precision" & Søns, Ltd.'
