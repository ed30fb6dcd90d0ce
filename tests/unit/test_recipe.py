from importlib import resources
from pathlib import Path

import pytest

from flows import recipe as recipes
from flows.recipe import Recipe
from tests.fake_stages import PROFILE, Cut, write_profile
from warehouse.errors import BadRecipe

STAGE = '[[stage]]\nuse = "tests.fake_stages:Cut"\nflow = "curate"\n'
SIZE = (
    '[[stage]]\nuse = "tests.fake_stages:Size"\nflow = "curate"\n'
    'ruler = { use = "tests.fake_stages:Ruler", revision = "1" }\n'
)
GATE = '[[stage.gate]]\nmeasure = "num_clips"\nop = ">="\nthreshold = 1\n'


def loaded(folder: Path, text: str) -> Recipe:
    path = folder / "given.toml"
    path.write_text(text)
    return recipes.load(str(path))


def keys(recipe: Recipe) -> dict[str, str]:
    return {step.stage: step.stage_key for step in recipe.steps}


def changed(folder: Path, **override: object) -> set[str]:
    """The stages whose facts a change makes anew."""
    before = keys(recipes.load(write_profile(folder / "before.toml")))
    after = keys(recipes.load(write_profile(folder / "after.toml", **override)))
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize("profile", ["embedded", "drawn", "opens2v"])
def test_the_shipped_profiles_load_and_their_stages_walk_from_sources_to_candidates(profile: str) -> None:
    recipe = recipes.load(profile)
    nouns = [step.noun for step in recipe.steps]
    assert nouns == sorted(nouns, key=["source", "clip", "candidate"].index)
    assert set().union(*map(recipe.of_flow, recipes.FLOWS)) == {step.stage for step in recipe.steps}


def test_the_paper_s_profile_is_the_embedded_road_with_other_engines(tmp_path: Path) -> None:
    weights = tmp_path / "w600k_r50.onnx"
    weights.write_bytes(b"a user's file: what a key needs is its digest")
    text = (resources.files("flows.profiles") / "paper.toml").read_text()
    paper, embedded = loaded(tmp_path, text.replace("./weights/w600k_r50.onnx", str(weights))), recipes.load("embedded")
    assert [step.stage for step in paper.steps] == [step.stage for step in embedded.steps]
    changed = {stage for stage, key in keys(paper).items() if key != keys(embedded)[stage]}
    same = {"annotations", "shots", "quality", "fingerprint", "duplicates"}
    assert changed == {step.stage for step in paper.steps} - same


def test_a_profile_that_extends_another_changes_what_it_names_and_nothing_else() -> None:
    drawn, embedded = recipes.load("drawn"), recipes.load("embedded")
    assert drawn.described() == embedded.described()
    differing = {name for name in embedded.options if drawn.options[name] != embedded.options[name]}
    assert differing == {"identities"}
    assert drawn.key != embedded.key


def test_one_line_switches_an_engine_and_leaves_everything_else(tmp_path: Path) -> None:
    write_profile(tmp_path / "below.toml")
    ruler = 'ruler = { use = "tests.fake_stages:Ruler", revision = "2" }'
    changed = loaded(tmp_path, f'extends = "{tmp_path / "below.toml"}"\n[change.size]\n{ruler}\n')
    before = recipes.load(str(tmp_path / "below.toml"))
    assert {name for name, key in keys(changed).items() if key != keys(before)[name]} == {"size", "copy", "look"}
    assert [step.gates for step in changed.steps] == [step.gates for step in before.steps]


def test_another_class_in_a_stage_s_place_keeps_its_flow_and_gates_and_no_field(tmp_path: Path) -> None:
    write_profile(tmp_path / "below.toml", num_clips=3)
    changed = loaded(tmp_path, f'extends = "{tmp_path / "below.toml"}"\n[change.cut]\nuse = "tests.fake_stages:Cut"\n')
    assert changed.stages[0].stage == Cut()
    assert changed.stages[0].flow == "curate"


def test_a_change_of_a_stage_that_there_is_not_names_those_there_are(tmp_path: Path) -> None:
    write_profile(tmp_path / "below.toml")
    with pytest.raises(BadRecipe, match="there are cut, size, copy, look"):
        loaded(tmp_path, f'extends = "{tmp_path / "below.toml"}"\n[change.cot]\nnum_clips = 1\n')


def test_a_recipe_read_twice_has_the_same_keys(tmp_path: Path) -> None:
    assert changed(tmp_path) == set()


def test_a_threshold_changes_no_stages_key(tmp_path: Path) -> None:
    assert changed(tmp_path, threshold=0.9) == set()


def test_a_parameter_changes_the_key_of_its_stage_and_of_those_that_need_it(tmp_path: Path) -> None:
    assert changed(tmp_path, scale=2.0) == {"size", "copy", "look"}


def test_an_engines_revision_changes_the_key_of_its_stage_and_of_those_that_need_it(tmp_path: Path) -> None:
    assert changed(tmp_path, revision="2") == {"size", "copy", "look"}


def test_a_stage_that_nobody_needs_changes_alone(tmp_path: Path) -> None:
    assert changed(tmp_path, num_clips=3) == {"cut"}


def test_a_version_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(recipes.load(write_profile(tmp_path / "one.toml")))
    monkeypatch.setattr("tests.fake_stages.Copy.version", 2)
    after = keys(recipes.load(write_profile(tmp_path / "one.toml")))
    assert {stage for stage in before if before[stage] != after[stage]} == {"copy", "look"}


def test_other_thresholds_make_another_recipe_key(tmp_path: Path) -> None:
    recipe = recipes.load(write_profile(tmp_path / "one.toml"))
    other = recipe.with_thresholds({"size": 0.5})
    assert other.key != recipe.key
    assert [gate.threshold for step in other.steps for gate in step.gates] == [0.5]


def test_an_unknown_gate_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(BadRecipe, match=r"'blurr' is no gate of profile embedded; it has blur, caption, "):
        recipes.load("embedded").with_thresholds({"blurr": 1.0})


def test_an_unknown_profile_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(BadRecipe, match=r"'embeded' is no profile; take drawn, embedded, opens2v.* or the path"):
        recipes.load("embeded")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[stage]\n", "given.toml"),
        ('[[stage]]\nflow = "curate"\n', "a stage without `use`"),
        ('[[stage]]\nuse = "nowhere.at.all:Stage"\nflow = "curate"\n', "No module named 'nowhere'"),
        ('[[stage]]\nuse = "tests.fake_stages:Cutt"\nflow = "curate"\n', "no attribute 'Cutt'"),
        ('[[stage]]\nuse = "tests.fake_stages:Ruler"\nflow = "curate"\nrevision = "1"\n', "is no stage"),
        (STAGE + "num_clipps = 3\n", "num_clipps"),
        ('[[stage]]\nuse = "tests.fake_stages:Cut"\n', "flow = None; take one of curate, gather, generate"),
        (STAGE.replace("curate", "curat"), "flow = 'curat'; take one of curate, gather, generate"),
        (STAGE + STAGE, "two stages are called cut"),
        (SIZE, "stage size takes clips, but no stage before it takes sources"),
        ('[[stage]]\nuse = "tests.fake_stages:Copy"\nflow = "generate"\n', "stage copy needs stage size"),
        (STAGE + GATE.replace(">=", "=>"), "'=>' is no comparison"),
        (STAGE + GATE.replace("num_clips", "num_cilps"), "measures no num_cilps; it has num_clips"),
        (STAGE + GATE.replace("= 1", '= "one"'), "'one' is no threshold; give a number"),
        (STAGE + GATE.replace("= 1", "= nan"), "nan is no threshold; give a number"),
        (STAGE + GATE + "to = 1\n", "a gate after cut"),
        (STAGE + '[[stage.gate]]\nmeasure = "num_clips"\n', "a gate after cut"),
        (STAGE + GATE + GATE, "two gates of one name"),
        ('extends = "nowhere"\n', "'nowhere' is no profile"),
    ],
)
def test_what_does_not_fit_in_a_profile_is_refused_and_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadRecipe) as raised:
        loaded(tmp_path, text)
    assert complaint in str(raised.value)


def test_a_profile_that_extends_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="extends itself"):
        loaded(tmp_path, f'extends = "{tmp_path / "given.toml"}"\n')


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(BadRecipe, match=r"folder\.toml"):
        recipes.load(str(tmp_path / "folder.toml"))


def test_the_tables_of_the_test_profile_are_all_options(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, PROFILE.format(num_clips=1, scale=1.0, revision="1", threshold=0.5))
    assert sorted(recipe.options) == ["identities", "pairs", "votes"]
