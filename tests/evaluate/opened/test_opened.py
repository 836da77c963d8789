"""A model is opened by one word, computes what transformers computes, and what cannot be opened says why."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers

from skyloom.core.errors import ConfigError, DataError, IntegrityError, SkyloomError, StorageError
from skyloom.evaluate.opened import OpeningOptions, cached_network, changed, locate, open_model, open_words
from tests.evaluate.opened.small import TEXTS, save_gpt2, save_llama, vocabulary, write_gguf
from tests.planted import families


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "小羊驼")


def tokens(rows: int = 3, width: int = 20, most: int = 300) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).integers(2, most, (rows, width)))


@pytest.mark.parametrize("tied", [False, True])
def test_a_llama_runs_on_our_decoder_with_equal_logits(tmp_path: Path, tied: bool) -> None:
    folder = save_llama(tmp_path / "m", tied=tied)
    model = open_model(str(folder))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        assert (model(tokens()) - theirs(input_ids=tokens()).logits).abs().max() < 1e-4
    said = model.describe()
    assert (said["engine"], said["dtype"], said["device"], said["context"]) == ("skyloom", "float32", "cpu", 32)
    assert (said["begins_with"], said["begin_id"], said["kind"]) == ("bos", 0, "hugging face")
    assert said["parameters"] == sum(p.numel() for p in theirs.parameters())


def test_another_architecture_runs_on_transformers(tmp_path: Path) -> None:
    model = open_model(str(save_gpt2(tmp_path / "gpt2", bos=False)))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2").eval()
    with torch.no_grad():
        assert torch.equal(model(tokens(2, 16)), theirs(input_ids=tokens(2, 16)).logits)
    assert (model.describe()["engine"], model.context) == ("transformers", 16)
    assert (model.begin, model.begins_with) == (1, "eos"), "without BOS a text begins behind EOS"


def test_a_gguf_file_computes_what_its_weights_compute(llama: Path, tmp_path: Path) -> None:
    place = write_gguf(llama, tmp_path / "model.gguf")
    model, plain = open_model(str(place)), open_model(str(llama))
    assert (model.place.kind, model.context, model.own) == ("gguf", 32, True)
    assert (model(tokens()) - plain(tokens())).abs().max() < 1e-5
    for texts in TEXTS.values():
        assert model.encode(texts) == plain.encode(texts)


def test_quantised_weights_are_turned_into_numbers(llama: Path, tmp_path: Path) -> None:
    place = write_gguf(llama, tmp_path / "q8.gguf", gguf.GGMLQuantizationType.Q8_0)
    model, plain = open_model(str(place)), open_model(str(llama))
    apart = (model(tokens()) - plain(tokens())).abs().max()
    assert 0 < apart < 2
    numbers = transformers.LlamaForCausalLM.from_pretrained(llama)
    numbers.load_state_dict(transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="q8.gguf").state_dict())
    numbers.save_pretrained(tmp_path / "hf")
    open_words(str(llama)).tokenizer.save_pretrained(tmp_path / "hf")  # type: ignore[attr-defined]
    assert (model(tokens()) - open_model(str(tmp_path / "hf"))(tokens())).abs().max() < 1e-5


def test_gguf_that_cannot_be_read_is_named(llama: Path, tmp_path: Path) -> None:
    place = write_gguf(llama, tmp_path / "model.gguf")
    (tmp_path / "cut.gguf").write_bytes(place.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.gguf cannot be read as GGUF"):
        open_model(str(tmp_path / "cut.gguf"))
    (tmp_path / "没有.gguf").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"没有\.gguf cannot be read as GGUF"):
        open_model(str(tmp_path / "没有.gguf"))
    data = bytearray(place.read_bytes())
    at = data.index(b"blk.0.ffn_up.weight") + len(b"blk.0.ffn_up.weight") + 4 + 2 * 8
    data[at : at + 4] = (3000).to_bytes(4, "little")
    (tmp_path / "new.gguf").write_bytes(data)
    with pytest.raises(DataError, match="3000"):
        open_model(str(tmp_path / "new.gguf"))


def test_weight_types_without_numbers_are_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    kind = gguf.GGMLQuantizationType.Q8_K
    writer.add_tensor("token_embd.weight", np.zeros((2, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(DataError, match="types Q8_K"):
        open_model(str(tmp_path / "x.gguf"))


def test_the_digest_follows_the_files(llama: Path, tmp_path: Path) -> None:
    before = locate(str(llama)).digest
    copy = shutil.copytree(llama, tmp_path / "copy")
    assert locate(str(copy)).digest == before
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert locate(str(copy)).digest != before


def test_a_tokenizer_that_puts_bos_itself_gets_no_second_one(llama: Path) -> None:
    words = open_words(str(llama))
    plain = words.encode(["The 机"])

    class Stubborn:
        bos_token_id, eos_token_id = 0, 1

        def __len__(self) -> int:
            return 320

        def __call__(self, texts: object, **_: object) -> dict[str, object]:
            if isinstance(texts, str):
                return {"input_ids": [0, *words.encode([texts])[0]]}
            assert isinstance(texts, list)
            return {"input_ids": [[0, *row] for row in words.encode(texts)]}

    from skyloom.evaluate.opened import HubWords

    assert HubWords(Stubborn(), "x", "").encode(["The 机"]) == plain  # type: ignore[arg-type]


def test_text_that_comes_back_changed_is_noticed(llama: Path) -> None:
    words = open_words(str(llama))
    assert not any(changed(words, t) for texts in TEXTS.values() for t in texts)


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        ("weights", DataError, r"lacks model\.safetensors"),
        ("pickled", DataError, "pickled weights are not read"),
        ("cut", IntegrityError, "damaged or cut short"),
        ("code", ConfigError, "--trust-code runs it"),
        ("config", DataError, "is no JSON"),
        ("tokenizer", DataError, "cannot be read as a tokenizer"),
        ("shard", DataError, r"lacks model-2\.safetensors"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(llama: Path, tmp_path: Path, spoil: str, kind: type[SkyloomError], words: str) -> None:
    folder = shutil.copytree(llama, tmp_path / "坏的")
    weights, config = folder / "model.safetensors", folder / "config.json"
    if spoil in ("weights", "pickled", "shard"):
        weights.unlink()
    if spoil == "pickled":
        (folder / "pytorch_model.bin").write_bytes(b"x")
    elif spoil == "shard":
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-2.safetensors"}}))
    elif spoil == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif spoil == "code":
        table = json.loads(config.read_text()) | {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}}
        config.write_text(json.dumps(table))
    elif spoil == "config":
        config.write_text("{")
    elif spoil == "tokenizer":
        (folder / "tokenizer.json").write_text("{}")
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(kind, match=words):
        open_model(str(folder))


def test_words_that_name_no_model_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no model"):
        open_model("没有这个模型")
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(DataError, match=r"must be a \.gguf file"):
        open_model(str(tmp_path / "a.bin"))
    with pytest.raises(DataError, match="holds no model"):
        open_model(str(tmp_path))
    with pytest.raises(ConfigError, match="takes at most 32 tokens"):
        open_model(str(save_llama(tmp_path / "m")), OpeningOptions(context=64))
    with pytest.raises(ConfigError, match="no CUDA device"):
        if torch.cuda.is_available():  # then the same sentence cannot be had
            raise ConfigError("no CUDA device")
        open_model(str(tmp_path / "m"), OpeningOptions(device="cuda"))


def test_a_tokenizer_that_does_not_fit_names_the_text(tmp_path: Path) -> None:
    model = open_model(str(save_llama(tmp_path / "m", rows=270)))
    with pytest.raises(DataError, match=r"does not fit it: in text 第二 there is id \d+, its embedding has 270 rows"):
        model.encode(["a", "The loom weaves the sky"], ["first", "第二"])


def test_neither_bos_nor_eos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither BOS nor EOS"):
        open_model(str(save_llama(tmp_path / "m", bos=False, eos=False)))


def test_offline_makes_no_network_call(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert open_model(str(llama), OpeningOptions(offline=True)).name == "小羊驼"
    with pytest.raises(StorageError, match="not among the models downloaded before"):
        open_model("nobody/nothing", OpeningOptions(offline=True))


@pytest.mark.parametrize(("family", "number"), [("Mistral", 0), ("Qwen2", 1), ("Qwen3", 2)])
@torch.no_grad()
def test_models_of_todays_families_run_on_our_decoder(family: str, number: int, tmp_path: Path) -> None:
    """Behind a shared prefix too, although one sees through a window of 7 tokens."""
    words = vocabulary()
    words.save_pretrained(tmp_path)
    config = {**families.table(family, number), "vocab_size": len(words), "torch_dtype": "float32", "bos_token_id": 0}
    made = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config)).float().eval()
    for weight in made.parameters():
        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
    made.save_pretrained(tmp_path)
    opened = open_model(str(tmp_path))
    assert opened.describe()["engine"] == "skyloom"
    asked = tokens(2, 24)
    wished = made(input_ids=asked).logits
    near = {"rtol": 0, "atol": 1e-4 * float(wished.abs().max())}
    torch.testing.assert_close(opened(asked), wished, **near)
    network = cached_network(opened.network, context=opened.context)
    asked[1, :12] = asked[0, :12]
    hidden = network.run(asked[:, 12:], torch.arange(12, 24).expand(2, -1), None, network.prefix(asked[0, :12]))
    torch.testing.assert_close(network.logits(hidden.flatten(0, 1)).view(2, 12, -1), made(input_ids=asked).logits[:, 12:], **near)
