"""Each place of a run has random numbers of its own."""

from mixzoo.train.randomness import generator


def test_a_place_gives_its_numbers_again() -> None:
    """Whatever was drawn elsewhere in between."""
    first = generator(0, "crop", 3, 7).random(4).tolist()
    generator(0, "mix", 3, 7).random(100)

    assert generator(0, "crop", 3, 7).random(4).tolist() == first


def test_seeds_purposes_and_places_are_independent() -> None:
    """No two streams are alike, also where the places' numbers could be confused."""
    places = [(0, "crop", 3, 7), (1, "crop", 3, 7), (0, "mix", 3, 7), (0, "order", 3, 7)]
    places += [(0, "crop", 7, 3), (0, "crop", 3), (0, "crop", 37)]

    assert len({generator(*place).random() for place in places}) == len(places)
