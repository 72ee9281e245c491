"""The facts of an ONNX file are read from its bytes, whatever they are."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_bundle import generator, model, readout, tensor

from bci.decoder.wire import FIELDS, MESSAGES, read_facts
from bci.errors import BundleError


def test_field_numbers_are_those_of_onnx() -> None:
    for message, children in MESSAGES.items():
        fields = getattr(onnx, message).DESCRIPTOR.fields_by_number
        assert {number: fields[number].message_type.name for number in children} == dict(children)
    for (message, name), number in FIELDS.items():
        assert getattr(onnx, message).DESCRIPTOR.fields_by_name[name].number == number


def test_every_message_that_can_hold_a_node_or_tensor_is_followed() -> None:
    holders = {"NodeProto", "TensorProto"}
    while True:
        more = {
            name
            for name in dir(onnx)
            if name.endswith("Proto")
            and any(
                f.message_type is not None and f.message_type.name in holders
                for f in getattr(onnx, name).DESCRIPTOR.fields
            )
        }
        if more <= holders:
            break
        holders |= more
    for name in holders & set(MESSAGES):
        leads = {
            number: field.message_type.name
            for number, field in getattr(onnx, name).DESCRIPTOR.fields_by_number.items()
            if field.message_type is not None and field.message_type.name in holders
        }
        assert leads.items() <= MESSAGES[name].items()
    # The rest are no part of a model.
    assert holders - set(MESSAGES) <= {"MapProto", "SequenceProto", "OptionalProto", "OperatorSetProto"}


def test_operators_and_operator_sets_are_counted() -> None:
    facts = read_facts(readout((20, 3), confidence=True), "m")
    assert facts.nodes == {"Reshape": 1, "ReduceMean": 1, "MatMul": 1, "Gather": 1, "Abs": 1, "Min": 1}
    assert facts.opsets == {"": 17}
    assert not facts.external
    assert facts.control_flow == ()


def test_an_operator_of_another_domain_is_named_with_it() -> None:
    custom = helper.make_node("Evil", ["latent"], ["image"], domain="elsewhere")
    assert read_facts(model([custom], [tensor("latent", [1])], []), "m").nodes == {"elsewhere::Evil": 1}


def _branch(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "branch", [], [tensor("image", [1])])


def test_control_flow_is_found_inside_control_flow() -> None:
    constant = helper.make_node("Constant", [], ["image"], value_float=1.0)
    inner = helper.make_node(
        "If", ["c"], ["image"], then_branch=_branch(constant), else_branch=_branch(constant)
    )
    outer = helper.make_node("Loop", ["n", "c"], ["image"], body=_branch(inner))
    facts = read_facts(model([outer], [], []), "m")
    assert facts.control_flow == ("If", "Loop")
    assert facts.nodes == {"Loop": 1, "If": 1, "Constant": 2}


def _external(where: str) -> TensorProto:
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=where)
    return outside


def test_external_data_is_found_wherever_it_is_nested() -> None:
    tensor_in = helper.make_node("Constant", [], ["image"], value=_external("/etc/passwd"))
    nested = helper.make_node(
        "If", ["c"], ["image"], then_branch=_branch(tensor_in), else_branch=_branch(tensor_in)
    )
    assert read_facts(model([nested], [], []), "m").external
    top = onnx.load_from_string(generator(1, 2, 2))
    top.graph.initializer.append(_external("../weights.bin"))
    assert read_facts(top.SerializeToString(), "m").external
    function = helper.make_function("own", "f", [], ["image"], [tensor_in], [helper.make_opsetid("", 17)])
    plain = onnx.load_from_string(generator(1, 2, 2))
    plain.functions.append(function)
    assert read_facts(plain.SerializeToString(), "m").external


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a model", b"\xff" * 40, b"\x3a\x05ab"])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="expected an ONNX model"):
        read_facts(data, "m")


@given(st.data())
def test_damaged_bytes_give_facts_or_a_refusal_and_nothing_else(data: st.DataObject) -> None:
    sound = bytearray(generator(2, 4, 4))
    for _ in range(data.draw(st.integers(1, 5))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(sound[: data.draw(st.integers(0, len(sound)))])
    try:
        read_facts(damaged, "m")
    except BundleError:
        return
