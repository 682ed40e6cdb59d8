"""The function of the pipeline: prices one order. What it cannot sell it refuses in its answer; only what is no order at all is an error."""

PRICES_IN_CENTS = {"tea": 450, "cup": 1290, "kettle": 3999}


def price(order, context):
    if order["item"] not in PRICES_IN_CENTS:
        return {"order": order["order"], "accepted": False, "reason": f"no {order['item']} in the shop"}
    if order["quantity"] < 1:
        return {"order": order["order"], "accepted": False, "reason": "nothing ordered"}
    cents = PRICES_IN_CENTS[order["item"]] * order["quantity"]
    return {"order": order["order"], "accepted": True, "total": f"{cents // 100}.{cents % 100:02d}"}
