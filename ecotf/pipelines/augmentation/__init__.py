"""Single augmentations, in the graph, for whole batches: ``draw_*`` draws the numbers, ``apply_*`` uses them.

``apply_*`` draws nothing, so what it does can be stated in numpy and compared.
"""
