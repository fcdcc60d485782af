"""What a VIN says by itself, worded as the US vPIC service words it: enough for the makes of the demo's book.

Rules from 49 CFR 565.15: the check digit in position 9, the model year in position 10, told from the one
thirty years before by position 7. Makers, models and trims are a small table of ours, not NHTSA's data.
"""

from __future__ import annotations

from functools import lru_cache

VALUES = {
    letter: value
    for value, group in enumerate(["0", "1AJ", "2BKS", "3CLT", "4DMU", "5ENV", "6FW", "7GPX", "8HY", "9RZ"])
    for letter in group
}
"""Every character a VIN may have, and what it counts for in the check digit: I, O and Q are none of them."""

_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_YEARS = "ABCDEFGHJKLMNPRSTVWXY123456789"  # A is 1980, and 2010 again

CLEAN = "0 - VIN decoded clean. Check Digit (9th position) is correct"
ERRORS = {
    1: "1 - Check Digit (9th position) does not calculate properly",
    6: "6 - Incomplete VIN",
    7: "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S. for use on"
    " U.S roads; Please contact the manufacturer directly for more information",
    14: "14 - Unable to provide information for some of the characters in the VIN, based on the manufacturer"
    " submission.",
    400: "400 - Invalid Characters Present",
}

_MPV = "MULTIPURPOSE PASSENGER VEHICLE (MPV)"
_BODIES = {
    "car": ("Sedan/Saloon", "PASSENGER CAR", "4"),
    "coupe": ("Coupe", "PASSENGER CAR", "2"),
    "hatch": ("Hatchback/Liftback/Notchback", "PASSENGER CAR", "5"),
    "suv": ("Sport Utility Vehicle (SUV)/Multi-Purpose Vehicle (MPV)", _MPV, "4"),
    "van": ("Minivan", _MPV, "5"),
    "pickup": ("Pickup", "TRUCK ", "4"),  # the blank at the end is the service's own
}

_MAKERS = {
    "FORD MOTOR COMPANY, USA": ("FORD", "1FT 1FM 1FA 3FA"),
    "TOYOTA MOTOR CORPORATION": ("TOYOTA", "JTD"),
    "TOYOTA MOTOR MANUFACTURING, KENTUCKY, INC.": ("TOYOTA", "4T1"),
    "TOYOTA MOTOR MANUFACTURING CANADA": ("TOYOTA", "2T3"),
    "TOYOTA MOTOR MANUFACTURING, INDIANA, INC.": ("TOYOTA", "5TD"),
    "AMERICAN HONDA MOTOR CO., INC.": ("HONDA", "1HG 5J6 5FN"),
    "HONDA OF CANADA MFG., INC.": ("HONDA", "2HG"),
    "TESLA, INC.": ("TESLA", "5YJ 7SA"),
    "BMW MANUFACTURER CORPORATION / BMW NORTH AMERICA": ("BMW", "5UX"),
    "BMW AG": ("BMW", "WBA"),
    "SUBARU CORPORATION": ("SUBARU", "JF1 JF2"),
    "SUBARU OF INDIANA AUTOMOTIVE, INC.": ("SUBARU", "4S3 4S4"),
    "GENERAL MOTORS LLC": ("CHEVROLET", "1G1 1GC 1GN 3GN"),
    "HYUNDAI MOTOR CO": ("HYUNDAI", "KMH KM8"),
    "HYUNDAI MOTOR MANUFACTURING ALABAMA LLC": ("HYUNDAI", "5NP 5NM"),
    "KIA CORPORATION": ("KIA", "KND"),
    "KIA GEORGIA, INC.": ("KIA", "5XY"),
    "KIA MEXICO, S.A. DE C.V.": ("KIA", "3KP"),
    "VOLKSWAGEN DE MEXICO SA DE CV": ("VOLKSWAGEN", "3VW 3VV"),
    "VOLKSWAGEN GROUP OF AMERICA, INC.": ("VOLKSWAGEN", "1V2"),
    "NISSAN NORTH AMERICA, INC.": ("NISSAN", "1N4 5N1"),
    "FCA US LLC": ("JEEP", "1C4"),
    "FCA US LLC (RAM)": ("RAM", "1C6"),
    "MAZDA MOTOR CORPORATION": ("MAZDA", "JM3"),
    "AUDI AG": ("AUDI", "WAU"),
    "VOLVO CAR CORPORATION": ("VOLVO", "YV4"),
}
_MAKE_BY_WMI = {wmi: (make, maker) for maker, (make, wmis) in _MAKERS.items() for wmi in wmis.split()}

# Positions 1 to 5: model, body, fuel, trims (position 8 chooses; _ is a blank).
_MODELS = {
    "1FTFW": ("F-150", "pickup", "Gasoline", "XL XLT Lariat"),
    "1FTEW": ("F-150", "pickup", "Gasoline", "XL XLT"),
    "1FTRX": ("F-150", "pickup", "Gasoline", "XL XLT"),
    "1FMSK": ("Explorer", "suv", "Gasoline", "Base XLT Limited"),
    "1FMCU": ("Escape", "suv", "Gasoline", "S SE Titanium"),
    "1FA6P": ("Mustang", "coupe", "Gasoline", "EcoBoost GT"),
    "3FA6P": ("Fusion", "car", "Gasoline", "S SE"),
    "1FAFP": ("Focus", "car", "Gasoline", "ZX4 SE"),
    "4T1G1": ("Camry", "car", "Gasoline", "LE SE XSE"),
    "4T1BE": ("Camry", "car", "Gasoline", "CE LE"),
    "JTDKA": ("Prius", "hatch", "Gasoline", "L LE XLE"),
    "JTDKB": ("Prius", "hatch", "Gasoline", "Base Touring"),
    "2T3P1": ("RAV4", "suv", "Gasoline", "LE XLE"),
    "5TDGZ": ("Highlander", "suv", "Gasoline", "XLE Limited"),
    "5TDYR": ("Sienna", "van", "Gasoline", "LE XLE"),
    "1HGCV": ("Accord", "car", "Gasoline", "LX Sport EX-L"),
    "1HGCM": ("Accord", "car", "Gasoline", "LX EX"),
    "2HGFC": ("Civic", "car", "Gasoline", "LX Sport EX"),
    "5J6RW": ("CR-V", "suv", "Gasoline", "LX EX EX-L"),
    "5FNYF": ("Pilot", "suv", "Gasoline", "EX-L Touring"),
    "5FNRL": ("Odyssey", "van", "Gasoline", "EX EX-L"),
    "5YJ3E": ("Model 3", "car", "Electric", "Standard Long_Range"),
    "5YJYG": ("Model Y", "suv", "Electric", "Long_Range Performance"),
    "7SAYG": ("Model Y", "suv", "Electric", "Long_Range Performance"),
    "5YJSA": ("Model S", "hatch", "Electric", "75D 100D"),
    "5UXWX": ("X3", "suv", "Gasoline", "xDrive28i xDrive35i"),
    "5UXTY": ("X3", "suv", "Gasoline", "sDrive30i xDrive30i"),
    "5UXCR": ("X5", "suv", "Gasoline", "xDrive40i"),
    "WBA5R": ("330i", "car", "Gasoline", "Base xDrive"),
    "JF1SG": ("Forester", "suv", "Gasoline", "X XT"),
    "JF2SK": ("Forester", "suv", "Gasoline", "Base Premium Limited"),
    "JF2GT": ("Crosstrek", "suv", "Gasoline", "Premium Limited"),
    "4S4BT": ("Outback", "suv", "Gasoline", "Premium Limited Touring"),
    "4S3BW": ("Legacy", "car", "Gasoline", "Premium Sport"),
    "1G1ZD": ("Malibu", "car", "Gasoline", "LS LT"),
    "1G1FY": ("Bolt EV", "hatch", "Electric", "LT Premier"),
    "1GCUY": ("Silverado", "pickup", "Gasoline", "LT RST LTZ"),
    "1GNSK": ("Tahoe", "suv", "Gasoline", "LT Premier"),
    "3GNAX": ("Equinox", "suv", "Gasoline", "LS LT"),
    "KMHLM": ("Elantra", "car", "Gasoline", "SE SEL"),
    "KM8J3": ("Tucson", "suv", "Gasoline", "SE SEL Limited"),
    "KM8K2": ("Kona", "suv", "Gasoline", "SE SEL"),
    "5NPEH": ("Sonata", "car", "Gasoline", "SE SEL"),
    "5NMS3": ("Santa Fe", "suv", "Gasoline", "SE SEL"),
    "KNDJ2": ("Soul", "hatch", "Gasoline", "LX S"),
    "KNDPM": ("Sportage", "suv", "Gasoline", "LX EX"),
    "5XYRG": ("Sorento", "suv", "Gasoline", "LX S EX"),
    "5XYP5": ("Telluride", "suv", "Gasoline", "LX EX SX"),
    "3KPF2": ("Forte", "car", "Gasoline", "LXS GT-Line"),
    "3VWC5": ("Jetta", "car", "Gasoline", "S SE"),
    "3VV2B": ("Tiguan", "suv", "Gasoline", "S SE SEL"),
    "1V2BR": ("Atlas", "suv", "Gasoline", "SE SEL"),
    "1N4BL": ("Altima", "car", "Gasoline", "S SV SR"),
    "5N1AT": ("Rogue", "suv", "Gasoline", "S SV SL"),
    "1C4RJ": ("Grand Cherokee", "suv", "Gasoline", "Laredo Limited"),
    "1C4HJ": ("Wrangler", "suv", "Gasoline", "Sport Sahara Rubicon"),
    "1C6SR": ("1500", "pickup", "Gasoline", "Tradesman Big_Horn Laramie"),
    "JM3KF": ("CX-5", "suv", "Gasoline", "Sport Touring"),
    "WAUEN": ("A4", "car", "Gasoline", "Premium Premium_Plus"),
    "YV4A2": ("XC60", "suv", "Gasoline", "Momentum Inscription"),
}

_ALWAYS_EMPTY = (
    "ABS", "AdditionalErrorText", "AirBagLocCurtain", "BasePrice", "BatteryKWh", "BedLengthIN",
    "CurbWeightLB", "DriverAssist", "EngineModel", "FuelTypeSecondary", "GCWR", "Note", "PossibleValues",
    "Series", "SuggestedVIN", "TopSpeedMPH",
)  # fmt: skip


def check_digit(vin: str) -> str:
    """Return what position 9 of a VIN must be: 0 to 9 or X. Raise KeyError for a character no VIN has."""
    rest = sum(VALUES[letter] * weight for letter, weight in zip(vin, _WEIGHTS, strict=True) if weight) % 11
    return "X" if rest == 10 else str(rest)


def model_year(vin: str) -> int | None:
    """Return the model year a VIN names, or None if it names none or hides position 7.

    A letter in position 7 says 2010 or later, a digit 2009 or earlier: the rule for cars and light trucks.
    """
    if len(vin) < 10 or vin[9] not in _YEARS or vin[6] == "*":
        return None
    return (2010 if vin[6].isalpha() else 1980) + _YEARS.index(vin[9])


@lru_cache(maxsize=8192)
def _facts(vin: str, year: str) -> tuple[tuple[str, str], ...]:
    make, maker = _MAKE_BY_WMI.get(vin[:3], ("", ""))
    model, shape, fuel, trims = _MODELS.get(vin[:5], ("", "", "", ""))
    body, kind, doors = _BODIES.get(shape, ("", "", ""))
    eighth = VALUES.get(vin[7:8])
    choices = trims.split()
    trim = choices[eighth % len(choices)].replace("_", " ") if choices and eighth is not None else ""
    codes = _error_codes(vin, known=bool(make), complete_model=bool(model))
    found = {
        "BodyClass": body,
        "Doors": doors,
        "ErrorCode": ",".join(map(str, codes)) or "0",
        "ErrorText": "; ".join(ERRORS[code] for code in codes) or CLEAN,
        "FuelTypePrimary": fuel,
        "Make": make,
        "Manufacturer": maker,
        "Model": model,
        "ModelYear": str(model_year(vin) or year) if make else "",
        "Trim": trim,
        "VIN": vin,
        "VehicleType": kind,
    }
    return tuple(sorted({**dict.fromkeys(_ALWAYS_EMPTY, ""), **found}.items()))


def decode(vin: str, year: str = "") -> dict[str, str]:
    """Return the record the service would give for a VIN: every value a text, unknown ones empty.

    `*` stands for a character not known; `year` is the asker's own model year, used where the VIN tells none.
    """
    year = year.strip()
    return dict(_facts(vin.strip().upper(), year if year.isdecimal() else ""))


def _error_codes(vin: str, *, known: bool, complete_model: bool) -> list[int]:
    codes: list[int] = []
    legal = all(letter in VALUES or letter == "*" for letter in vin)
    complete = len(vin) == 17 and "*" not in vin
    if complete and legal and check_digit(vin) != vin[8]:
        codes.append(1)
    if len(vin) < 17 or "*" in vin:
        codes.append(6)
    if not known:
        codes.append(7)
    elif not complete_model:
        codes.append(14)
    if not legal or len(vin) > 17:
        codes.append(400)
    return codes
