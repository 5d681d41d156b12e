"""Self-checks of the exercises, one module a chapter: `ntk.exercises.CHAPTER.check_NAME(answer)`.

Each says whether the answer is right, and where it is wrong in a typical way, why.
"""
