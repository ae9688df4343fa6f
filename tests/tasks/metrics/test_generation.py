"""Generation: the same answers for every batch size, ending where the model ends a turn."""

from pathlib import Path

import pytest

from tasks.encoding import Encoder
from tasks.metrics.generation import GenerationPlan, answer_prompts, stop_ids
from tasks.recipe import DatasetSection
from tests.candidates import chat
from tests.tiny import build_tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder: Path = build_tiny_model(tmp_path_factory.mktemp("tiny"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, tokenizer, Encoder(tokenizer, DatasetSection(path="x.jsonl"), "messages")


def plan(**changes) -> GenerationPlan:
    fields = {"max_new_tokens": 10, "positions": 256, "batch_size": 8, "stop_ids": (2,)}
    return GenerationPlan(**(fields | changes))


def test_answers_do_not_depend_on_the_batch(tiny) -> None:
    model, tokenizer, encoder = tiny
    prompts = [encoder.encode_prompt(chat(index)) for index in (3, 400, 5, 66666, 7, 8)]
    alone = answer_prompts(model, tokenizer, prompts, plan(batch_size=1))
    for size in (2, 4, 64):
        assert answer_prompts(model, tokenizer, prompts, plan(batch_size=size)) == alone
    assert len(set(alone)) > 1


def test_an_answer_is_the_greedy_continuation(tiny) -> None:
    import torch

    model, tokenizer, encoder = tiny
    prompt = encoder.encode_prompt(chat(1))
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(10):
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    unused = next(token for token in range(300, 384) if token not in ids)
    free = answer_prompts(model, tokenizer, [prompt], plan(stop_ids=(unused,)))
    assert free == [tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True)]
    stop = ids[len(prompt) + 3]
    first = ids.index(stop, len(prompt))
    cut = answer_prompts(model, tokenizer, [prompt], plan(stop_ids=(stop,)))
    assert cut == [tokenizer.decode(ids[len(prompt) : first], skip_special_tokens=True)]


def test_sampling_settings_and_penalties_of_the_model_are_ignored(tiny) -> None:
    from transformers import GenerationConfig

    model, tokenizer, encoder = tiny
    prompts = [encoder.encode_prompt(chat(index)) for index in range(4)]
    expected = answer_prompts(model, tokenizer, prompts, plan())
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=2.0, repetition_penalty=1.8, max_new_tokens=3
    )
    assert answer_prompts(model, tokenizer, prompts, plan()) == expected


def test_prompts_near_the_last_position_get_the_room_that_is_left(tiny) -> None:
    model, tokenizer, encoder = tiny
    short = encoder.encode_prompt(chat(1))
    long = (short * 20)[: 256 - 4]
    full = (short * 20)[:256]
    expected = answer_prompts(model, tokenizer, [short], plan())
    found = answer_prompts(model, tokenizer, [long, short, full], plan(stop_ids=(383,)))
    assert found[1] == answer_prompts(model, tokenizer, [short], plan(stop_ids=(383,)))[0]
    assert len(tokenizer(found[0])["input_ids"]) <= 4 + 1
    assert found[2] == ""
    assert expected


def test_a_turn_ends_at_the_templates_token_even_if_it_is_not_eos(tiny) -> None:
    _model, tokenizer, encoder = tiny
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    pad = tokenizer.pad_token_id
    tokenizer.eos_token = "<|pad|>"
    try:
        assert stop_ids(tokenizer, [7], encoder, chat(1)) == tuple(sorted({7, pad, end}))
        assert stop_ids(tokenizer, None, encoder, chat(1)) == tuple(sorted({pad, end}))
    finally:
        tokenizer.eos_token = "<|im_end|>"
