"""An image of a memory card, prepared as a file: no card, no mount and no root's rights are needed for it."""
