"""Settings in the published system's columns: read to start from, written for the best; the published ones fit in."""

from __future__ import annotations

import pandas as pd
import pytest

from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.tasks.calls.published_params import read_start, write_params
from ecotf.tasks.recipes import load_recipe
from ecotf.tuning.keys import settings_of, with_settings
from ecotf.tuning.space import alike

# The published files, but for their net_type, which nothing uses.
CNN = """\
model,nb_conv_layers,nb_dense_layers,nb_filters,filter_size,pool_size,nb_dense_nodes,dropout_proba,learn_rate_adam,\
beta_1,beta_2,epsilon,min_delta,patience,batchsize,net_type
cnn_8,2,1,48,4,2,320,.6,8.483428982440717e-4,.9,.999,1e-8,.005,20,320,params
cnn_2,3,1,48,3,2,384,.5,3.1622776601683794e-4,.95,.999,1e-8,.005,15,128,params
cnn_7,2,2,40,4,2,512,.5,2.2758459260747888e-3,.9,.999,1e-8,.0005,5,320,params
"""
RESNET = """\
model,L2_weight_decay,batch_norm_decay,batch_norm_epsilon,learn_rate_adam,beta_1,beta_2,epsilon,min_delta,patience,\
batchsize,net_type
resnet_8,.005,.99,.001,1.9306977288832496e-4,.95,.95,1e-8,5e-5,20,96,params
resnet_2,.0005,.99,.001,3.727593720314938e-3,.8,.95,1e-8,.005,15,64,params
resnet_7,.0005,.99,.001,2.2758459260747888e-3,.9,.999,1e-8,5e-5,15,64,params
"""
TREES = """\
model,max_depth,eta,n_estimators,gamma_xgb,subsample,scale_pos_weight,min_child_weight
xgboost_call,15,.19684057798124177,2000,.005,.8,1.5,1
xgboost_spectrogram,15,.19684057798124177,2000,.001,.9,1.5,1
"""


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, text in (("cnn", CNN), ("resnet", RESNET), ("xgboost", TREES)):
        (folder / f"{name}_params.csv").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("bats/cnn8", {}),
        ("bats/resnet8", {}),
        ("bats/resnet2", {}),
        ("bats/cnn2", {}),
        (
            "bats/hybrid_cnn_xgboost",
            {"trees.max_depth": 15, "trees.eta": 0.19684057798124177, "trees.n_estimators": 2000, "trees.gamma": 0.001,
             "trees.subsample": 0.9, "trees.scale_pos_weight": 1.5, "trees.min_child_weight": 1},
        ),
    ],
)  # fmt: skip
def test_published_settings_are_those_of_the_recipes_and_lie_in_their_spaces(published, name, differs):
    recipe = load_recipe(name)
    found = read_start([published], recipe)
    now = settings_of(recipe)
    assert {key: value for key, value in found.items() if not alike(value, now[key])} == differs
    for key, expression in recipe.tuning.space.items():
        if key in found:
            assert alike(expression.value(expression.nearest(found[key])), found[key]), key
    with_settings(recipe, found)


def test_layers_are_counted_as_here(published):
    found = read_start([published / "cnn_params.csv"], load_recipe("bats/cnn2"))
    assert found["networks.0.backbone.convolutions"] == 4 and found["networks.1.backbone.convolutions"] == 3
    assert isinstance(found["stages.0.batch"], int) and len(found) == 28


@pytest.mark.parametrize("name", ["bats/cnn2", "bats/resnet2", "bats/hybrid_cnn_xgboost", "bats/hybrid_resnet_xgboost"])
def test_what_is_written_is_read_again_and_has_the_published_columns(published, tmp_path, name):
    recipe = load_recipe(name)
    given = read_start([published], recipe)
    changed = with_settings(recipe, given)
    paths = write_params(changed, tmp_path)
    for path in paths:
        theirs, ours = (pd.read_csv(folder / path.name) for folder in (published, tmp_path))
        assert ours.columns.tolist() == theirs.columns.tolist()
        both = ours.merge(theirs, on="model", suffixes=("", "_theirs"))
        assert len(both) == len(ours)
        for column in ours.columns[1:]:
            assert all(map(alike, both[column], both[f"{column}_theirs"])), column
    assert read_start(paths, changed) == given


def test_a_part_that_the_columns_cannot_hold_is_left_out(tmp_path):
    assert [path.name for path in write_params(load_recipe("bats/field"), tmp_path)] == ["xgboost_params.csv"]


@pytest.mark.parametrize(
    ("name", "text", "recipe", "said"),
    [
        ("cnn_params.csv", CNN, "bats/field", "of no part of this recipe; it can start from xgboost_params.csv (xgb"),
        ("cnn_params.csv", CNN.replace("cnn_8", "cnn_9"), "bats/cnn8", "no row for the model 'cnn_8'; there are cnn_9"),
        ("cnn_params.csv", CNN.replace(",.6,", ",much,"), "bats/cnn8", "dropout_proba = 'much' is not a number"),
        ("cnn_params.csv", CNN.replace(",20,320", ",20.5,320"), "bats/cnn8", "patience = '20.5' is not a whole number"),
        ("cnn_params.csv", "a,b\n1,2\n", "bats/cnn8", "it has no column 'model'; its columns are a, b"),
        ("cnn_params.csv", "", "bats/cnn8", "not a table of settings"),
        ("cnn_params.csv", None, "bats/cnn8", "cannot be read (No such file or directory)"),
    ],
)
def test_files_that_cannot_be_started_from(tmp_path, name, text, recipe, said):
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(EcotfError) as error:
        read_start([file], load_recipe(recipe))
    assert isinstance(error.value, ConfigError | DataError)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_such_files(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no cnn_params\.csv"):
        read_start([tmp_path], load_recipe("bats/cnn8"))
