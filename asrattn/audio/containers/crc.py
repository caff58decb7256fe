"""Tables of cyclic redundancy checks, highest bit first."""


def make_table(bits: int, polynomial: int) -> tuple[int, ...]:
    """The remainder of each byte, for a check of `bits` bits (8 or more)."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    table = []
    for byte in range(256):
        crc = byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & top else 0)) & mask
        table.append(crc)
    return tuple(table)
