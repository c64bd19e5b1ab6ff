import doctest

from ecotf import wording
from ecotf.wording import counted


def test_one_has_no_s_and_all_others_have():
    assert [counted(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]


def test_another_plural_may_be_given():
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "class", "classes") == "3 classes"


def test_the_example_is_true():
    assert doctest.testmod(wording).failed == 0
