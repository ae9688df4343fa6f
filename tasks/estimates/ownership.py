"""Ownership: what an hour of one's own card costs, where rent would be the wrong price.

    electricity   board power x share x dollars a kWh
    wear          list price / (years x hours x busy share), where a list price is known

Example: RTX 4090, 450 W: 3 to 22 cents of electricity and 6 to 24 cents of wear an hour.
"""

from __future__ import annotations

from tasks.estimates.architecture import read_asset

__all__ = ["HOURS_A_YEAR", "owned_price"]

HOURS_A_YEAR = 8766


def owned_price(name: str) -> tuple[tuple[float, float] | None, str]:
    """Return dollars an hour of one card as a range, and what it is made of; None if unknown."""
    asset = read_asset("ownership.yaml")
    known = asset["cards"].get(name)
    if known is None:
        return None, "no board power is known for this card; set budget.usd_per_gpu_hour"
    kwh = [known["watts"] / 1000 * share for share in asset["share_of_board_power"]]
    low, high = (power * price for power, price in zip(kwh, asset["usd_per_kwh"], strict=True))
    made_of = f"own card: {known['watts']} W at ${asset['usd_per_kwh'][0]:.2f} to "
    made_of += f"{asset['usd_per_kwh'][1]:.2f} a kWh"
    if "list_usd" not in known:
        return (low, high), f"{made_of}, without wear (no list price is known), heuristic"
    hours = asset["years"] * HOURS_A_YEAR
    rarely, always = asset["busy"]
    low, high = (
        low + known["list_usd"] / (hours * always),
        high + known["list_usd"] / (hours * rarely),
    )
    wear = f"wear of ${known['list_usd']:,} ({known['since']}) over {asset['years']} years"
    return (low, high), f"{made_of} and {wear}, heuristic"
