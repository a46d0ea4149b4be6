"""The shop's customers: who they are follows from the customer's number alone."""

import json
from functools import lru_cache
from typing import NamedTuple

_MASK = (1 << 64) - 1
_json = json.JSONEncoder(ensure_ascii=False).encode


class Country(NamedTuple):
    code: str
    name: str
    share: int  # of 100 orders
    currency: str
    tax: int  # in thousandths
    taxes_included: bool
    cities: tuple[tuple[str, str], ...]  # name, postal code with # for digits
    given: tuple[str, ...]
    family: tuple[str, ...]
    address: str
    name_order: str = "{given} {family}"


_EAST = "{family}{given}"
COUNTRIES = (
    Country(
        "US",
        "United States",
        56,
        "USD",
        80,
        False,
        (
            ("New York", "100##"),
            ("Austin", "787##"),
            ("Portland", "972##"),
            ("Coeur d'Alene", "838##"),
            ("Chicago", "606##"),
        ),
        ("Emma", "Liam", "Olivia", "Noah", "Ava", "James", "Mia", "Lucas", "Zoë", "Jennifer", "Marcus", "Grace"),
        (
            "Smith",
            "Johnson",
            "O'Brien",
            "Garcia",
            "Null",
            "Brown",
            "Nguyen",
            "Davis",
            "Miller",
            "Wilson, Jr.",
            "Lee",
            "Moore",
        ),
        "{n} Maple Street, Apt. {m}",
    ),
    Country(
        "CA",
        "Canada",
        3,
        "CAD",
        130,
        False,
        (("Toronto", "M5V #A#"), ("Montréal", "H2X #B#"), ("Vancouver", "V6B #C#")),
        ("Chloé", "William", "Léa", "Nathan", "Sophie", "Ethan"),
        ("Tremblay", "Gagnon", "MacDonald", "Roy", "Côté", "Singh"),
        "{n} rue Saint-Denis",
    ),
    Country(
        "GB",
        "United Kingdom",
        8,
        "GBP",
        200,
        True,
        (("London", "SW1A #AA"), ("Leeds", "LS1 #BT"), ("Glasgow", "G1 #DX"), ("Bristol", "BS1 #AB")),
        ("Amelia", "Oliver", "Isla", "Harry", "Freya", "George"),
        ("Jones", "Taylor", "Patel", "Evans", "Khan", "Walker"),
        "Flat {m}, {n} High Street",
    ),
    Country(
        "DE",
        "Germany",
        7,
        "EUR",
        190,
        True,
        (("Berlin", "10###"), ("Köln", "50###"), ("München", "80###"), ("Düsseldorf", "40###")),
        ("Hannah", "Jürgen", "Jörg", "Lena", "Björn", "Käthe"),
        ("Müller", "Schmidt", "Groß", "Weiß", "Schäfer", "Österreicher"),
        "Königsallee {n}",
    ),
    Country(
        "FR",
        "France",
        4,
        "EUR",
        200,
        True,
        (("Paris", "750##"), ("Lyon", "690##"), ("L'Haÿ-les-Roses", "94240")),
        ("Élodie", "François", "Anaïs", "Jérôme", "Inès", "Loïc"),
        ("Lefèvre", "d'Artagnan", "Noël", "Bernard", "Petit", "Çelik"),
        "{n} bis, rue de l'Église",
    ),
    Country(
        "ES",
        "Spain",
        3,
        "EUR",
        210,
        True,
        (("Madrid", "280##"), ("A Coruña", "150##"), ("Málaga", "290##")),
        ("Lucía", "Iñigo", "Sofía", "José", "María", "Ángel"),
        ("Núñez", "García", "Muñoz", "Peña", "López", "Ibáñez"),
        "Calle del Niño {n}, 2º",
    ),
    Country(
        "GR",
        "Greece",
        1,
        "EUR",
        240,
        True,
        (("Αθήνα", "105 ##"), ("Θεσσαλονίκη", "546 ##")),
        ("Μαρία", "Γιώργος", "Ελένη", "Νίκος"),
        ("Παπαδόπουλος", "Νικολάου", "Γεωργίου"),
        "Ερμού {n}",
    ),
    Country(
        "JP",
        "Japan",
        4,
        "JPY",
        100,
        True,
        (("東京都渋谷区", "150-00##"), ("大阪市北区", "530-00##"), ("札幌市", "060-00##")),
        ("さくら", "翔太", "美咲", "健一", "陽菜", "大輔"),
        ("佐藤", "鈴木", "髙橋", "田中", "渡邊", "𠮷野"),
        "神南{m}丁目{n}番地",
        _EAST,
    ),
    Country(
        "KR",
        "South Korea",
        2,
        "USD",
        0,
        False,
        (("서울", "04###"), ("부산", "48###")),
        ("서연", "민준", "지우", "도윤"),
        ("김", "이", "박", "최"),
        "세종대로 {n}",
        _EAST,
    ),
    Country(
        "CN",
        "China",
        2,
        "USD",
        0,
        False,
        (("上海", "2000##"), ("成都", "6100##")),
        ("伟", "芳", "娜", "敏"),
        ("王", "李", "张", "刘"),
        "南京路{n}号",
        _EAST,
    ),
    Country(
        "IL",
        "Israel",
        2,
        "USD",
        0,
        False,
        (("תל אביב", "61#####"), ("חיפה", "31#####")),
        ("נועה", "יוסי", "תמר", "אורי"),
        ("כהן", "לוי", "מזרחי"),
        "רחוב הרצל {n}",
    ),
    Country(
        "AE",
        "United Arab Emirates",
        2,
        "USD",
        0,
        False,
        (("دبي", ""), ("أبو ظبي", "")),
        ("فاطمة", "محمد", "ليلى", "عمر"),
        ("الهاشمي", "الفارسي", "منصور"),
        "شارع الشيخ زايد {n}",
    ),
    Country(
        "IN",
        "India",
        3,
        "USD",
        0,
        False,
        (("मुंबई", "4000##"), ("Bengaluru", "5600##")),
        ("प्रिया", "अर्जुन", "आरव", "काव्या"),
        ("शर्मा", "पटेल", "सिंह"),
        "{n}, महात्मा गांधी मार्ग",
    ),
    Country(
        "UA",
        "Ukraine",
        2,
        "USD",
        0,
        False,
        (("Київ", "01###"), ("Львів", "79###")),
        ("Олена", "Іван", "Марія", "Тарас"),
        ("Шевченко", "Ковальчук", "Бойко"),
        "вул. Хрещатик, {n}",
    ),
    Country(
        "TH",
        "Thailand",
        1,
        "USD",
        0,
        False,
        (("กรุงเทพมหานคร", "10###"),),
        ("สมชาย", "สุดา", "นภา"),
        ("ใจดี", "ศรีสุข"),
        "{n} ถนนสุขุมวิท",
    ),
)
_PROVINCES = {
    "New York": ("New York", "NY"),
    "Austin": ("Texas", "TX"),
    "Portland": ("Oregon", "OR"),
    "Coeur d'Alene": ("Idaho", "ID"),
    "Chicago": ("Illinois", "IL"),
    "Toronto": ("Ontario", "ON"),
    "Montréal": ("Quebec", "QC"),
    "Vancouver": ("British Columbia", "BC"),
}
"""Those of some cities; addresses elsewhere have none."""
_BY_SHARE = [country for country in COUNTRIES for _ in range(country.share)]
_MAIL = ("example.com", "example.org", "example.net")


class Person(NamedTuple):
    name: str
    email: str
    country: Country
    destination: str  # JSON that was encoded twice, as the source shop stores it


@lru_cache(maxsize=50_000)
def person(number: int) -> Person:
    """The customer with this number, the same each time."""
    dice = _scrambled(number)

    def pick(sides: int) -> int:
        nonlocal dice
        dice, rolled = divmod(dice, sides)
        return rolled

    country = _BY_SHARE[pick(len(_BY_SHARE))]
    given, family = country.given[pick(len(country.given))], country.family[pick(len(country.family))]
    city, postal_code = country.cities[pick(len(country.cities))]
    while "#" in postal_code:
        postal_code = postal_code.replace("#", str(pick(10)), 1)
    name = country.name_order.format(given=given, family=family)
    address = {
        "name": name,
        "address1": country.address.format(n=1 + pick(280), m=1 + pick(40)),
        "city": city,
        "zip": postal_code,
        **dict(zip(("province", "province_code"), _PROVINCES.get(city, ()), strict=False)),
        "country": country.name,
        "country_code": country.code,
    }
    local = f"{given}.{family}".lower() if name.isascii() else "shopper"
    email = "".join(c for c in local if c.isalnum() or c == ".") + f".{number}@{_MAIL[pick(3)]}"
    return Person(name, email, country, _json(_json(address)))


def _scrambled(number: int) -> int:
    """Neighbouring numbers made unlike: the finaliser of SplitMix64."""
    mixed = (number + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)
