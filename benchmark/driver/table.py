# Weft - prints the rows as one table
# SPDX-License-Identifier: Apache-2.0

HEADS = ("case", "unit", "bare loop", "nginx", "Weft", "ratio", "goal", "met")
PARTS = {
    "structure": "structure (due now)",
    "speed": "speed (measured and reported, not due yet)",
    "kernel": "timers (reported)",
    "compose": "composition (reported)",
    "protocols": "protocols (reported)",
    "failed": "not measured",
}


def cells(row):
    met = {True: "yes", False: "NO", None: row.note or "-"}[row.met]
    if row.met is not None and row.note:
        met += f" ({row.note})"
    return (row.case, row.unit, row.bare, row.nginx, row.weft, row.ratio, row.target, met)


def show(rows):
    """The whole table as text. The first two columns and the last two are words."""
    body = [cells(row) for row in rows]
    width = [max(len(line[i]) for line in body + [HEADS]) for i in range(len(HEADS))]

    def line(cell):
        return "  ".join(c.ljust(w) if i in (0, 1, 6, 7) else c.rjust(w)
                         for i, (c, w) in enumerate(zip(cell, width))).rstrip()

    out = [line(HEADS), line(["-" * w for w in width])]
    for part, title in PARTS.items():
        mine = [line(cells(row)) for row in rows if row.part == part]
        if mine:
            out += ["", title] + mine
    return "\n".join(out)


def score(rows, part):
    """(met, measured with a goal, not measured) of one part."""
    mine = [row for row in rows if row.part == part]
    judged = [row for row in mine if row.met is not None]
    return sum(row.met for row in judged), len(judged), \
        sum(1 for row in mine if row.met is None and row.target and row.weft == "-")
