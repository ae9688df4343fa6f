"""What a competent user writes with TRL alone, to compare with: `python -m bench.plain_trl job.json`.

The job names model, rows, method and settings; no code of this project runs. Rows are chats;
TRL applies the template, and learns what stands between its `{% generation %}` marks. The last line
printed is JSON: seconds until ready and in training, tokens per second in steps, peak memory,
losses.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trl import SFTTrainer

    from tasks.trainer.spec import TrainSpec

__all__ = ["build", "job_of", "main"]


def main() -> None:
    """Train as the job says, save, and print the measures."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    began = time.monotonic()
    trainer = build(job)
    ready = time.monotonic()
    clock = step_clock()
    trainer.add_callback(clock)
    trainer.train()
    trainer.save_model(str(Path(job["output"]) / "result"))
    tokens = trainer.state.num_input_tokens_seen
    measures = {
        "ready_seconds": ready - began,
        "train_seconds": time.monotonic() - ready,
        "tokens": tokens,
        "tokens_per_second": tokens / clock.seconds,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "losses": [e["loss"] for e in trainer.state.log_history if "loss" in e],
    }
    print(json.dumps(measures))  # noqa: T201 - read by whoever measures


def build(job: dict[str, Any]) -> SFTTrainer:
    """Return the trainer: model, quantization and adapter as the documentation of TRL has them."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    packed = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        job["model"],
        dtype=torch.float32,
        quantization_config=packed if job["method"] == "qlora" else None,
    )
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=job["output"],
            assistant_only_loss=True,
            include_num_input_tokens_seen="non_padding",
            **job["settings"],
        ),
        train_dataset=rows(Path(job["train"])),
        eval_dataset=rows(Path(job["validation"])),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        peft_config=None
        if job["method"] == "full"
        else LoraConfig(task_type="CAUSAL_LM", **job["lora"]),
    )


def job_of(spec: TrainSpec, output: Path) -> dict[str, Any]:
    """Return what `bench/plain_trl.py` reads: this run in TRL's own words."""
    chosen, training = spec.hyperparameters, spec.training
    settings = {
        "learning_rate": chosen.learning_rate,
        "num_train_epochs": chosen.num_train_epochs,
        "max_steps": chosen.max_steps,
        "per_device_train_batch_size": chosen.per_device_train_batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
        "gradient_checkpointing": chosen.gradient_checkpointing,
        "warmup_steps": training.warmup_steps,
        "lr_scheduler_type": training.lr_scheduler_type,
        "optim": training.optim,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "seed": training.seed,
        "max_length": spec.max_length,
        "logging_steps": training.logging_steps,
        "save_strategy": "steps" if training.save_steps else "no",
        "save_steps": training.save_steps or 500,
        "bf16": chosen.dtype == "bfloat16",
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
    }
    lora = {
        "r": chosen.r,
        "lora_alpha": chosen.lora_alpha,
        "lora_dropout": spec.lora.lora_dropout,
        "target_modules": chosen.target_modules,
    }
    return {
        "model": spec.base_path,
        "method": spec.method,
        "train": spec.train.path,
        "validation": spec.validation.path,
        "output": str(output.resolve()),
        "settings": settings,
        "lora": lora,
    }


def rows(path: Path) -> Any:  # noqa: ANN401 - a data set
    """Return a file of chats as TRL wants them."""
    from datasets import Dataset

    chats = [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines()]
    return Dataset.from_list([{"messages": chat} for chat in chats])


def step_clock() -> Any:  # noqa: ANN401 - a TrainerCallback
    """Return a callback that adds up the seconds spent in steps."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        seconds = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - theirs
            self.began = time.monotonic()

        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - theirs
            self.seconds += time.monotonic() - self.began

    return Clock()


if __name__ == "__main__":
    main()
