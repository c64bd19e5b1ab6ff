"""What a person decides about clips, while hearing and seeing them: a page on this machine, and a journal.

`ecotf.review.base.Reviewed` is what is reviewed, `ecotf.review.server.serve` shows it, `ecotf.review.journal` keeps the
decisions.
"""
