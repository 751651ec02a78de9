import keras
import numpy as np
from keras import layers

from model.inference.layer_graph import Copies, calls, is_graph, last, rebuilt


def nested():
    """A convolution, and a nested model that is called on its output and ends the network."""
    inner = keras.Sequential([keras.Input((None, None, 4)), layers.Conv2D(2, 1, name="inside")])
    image = keras.Input((None, None, 3))
    return keras.Model(image, inner(layers.Conv2D(4, 1, name="outside")(image)))


def test_calls_of_nested_models_are_listed_in_order():
    names = [call.operation.name for call in calls(nested()) if call.operation is not None]
    assert [name for name in names if name in ("inside", "outside")] == ["outside", "inside"]


def test_the_last_operation_may_be_inside_a_nested_model():
    assert last(nested()).name == "inside"


def test_a_call_names_its_sources():
    image = keras.Input((None, None, 3))
    one, other = layers.Conv2D(4, 1, name="one")(image), layers.Conv2D(4, 1, name="other")(image)
    model = keras.Model(image, layers.Concatenate(name="both")([one, other]))
    (both,) = (call for call in calls(model) if getattr(call.operation, "name", "") == "both")
    assert [source.name for source in both.sources] == ["one", "other"]
    assert not both.plain


def test_a_call_in_training_mode_is_not_plain():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.BatchNormalization(name="norm")(image, training=True))
    (norm,) = (call for call in calls(model) if getattr(call.operation, "name", "") == "norm")
    assert not norm.plain


class Doubling(keras.Model):
    def call(self, inputs):
        return 2 * inputs


def test_models_of_one_input_and_output_are_graphs():
    image, other = keras.Input((3,)), keras.Input((3,))
    dense = layers.Dense(1)(image)
    assert is_graph(keras.Model(image, dense))
    assert is_graph(keras.Sequential([image, layers.Dense(1)]))
    assert not is_graph(keras.Model([image, other], layers.Add()([image, other])))
    assert not is_graph(keras.Model(image, [dense, image]))
    assert not is_graph(Doubling())
    assert not is_graph(layers.Dense(1))


def test_a_copy_computes_the_same_with_weights_of_its_own():
    model, copies = nested(), Copies()
    copy = rebuilt(
        model, (2, 8, 8, 3), "float32", lambda op, *args, **kwargs: copies.call(op, args, kwargs)
    )
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    before = np.asarray(model(images))
    np.testing.assert_array_equal(copy(images), before)
    for weight in copy.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(model(images), before)


def test_a_layer_that_is_called_twice_is_copied_once():
    image = keras.Input((None, None, 3))
    shared = layers.Conv2D(3, 1)
    model, copies = keras.Model(image, shared(shared(image))), Copies()
    copy = rebuilt(
        model, (1, 8, 8, 3), "float32", lambda op, *args, **kwargs: copies.call(op, args, kwargs)
    )
    assert copy.count_params() == model.count_params()
