"""A shopping basket, in cents."""


def total(price, pieces):
    """The price of some pieces, with one tenth off from ten pieces on."""
    full = max(price, 0) * max(pieces, 0)
    if pieces > 10:
        return full - full // 10
    return full


def change(paid, due):
    """What the customer gets back; nothing for an unpaid rest."""
    return max(paid - due, 0)
