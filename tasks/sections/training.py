"""`training`: the loop, in the words of `transformers.TrainingArguments`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.sections.handing_on import HandingOn
from tasks.sections.sharding import Profile

__all__ = ["TrainingSection"]


class TrainingSection(HandingOn):
    """The loop, in the words of TRL's SFTConfig; its other settings are handed on."""

    SECTION: ClassVar[str] = "training"

    learning_rate: float | None = Field(None, gt=0, description="None: by method (LoRA 10x full).")
    num_train_epochs: float = Field(3.0, gt=0)
    max_steps: int = Field(-1, ge=-1, description="-1: by epochs.")
    global_batch_size: int | None = Field(None, ge=1, description="Sequences a step. None: 16.")
    per_device_train_batch_size: int | None = Field(None, ge=1, description="None: what fits.")
    gradient_accumulation_steps: int | None = Field(None, ge=1, description="None: derived.")
    per_device_eval_batch_size: int = Field(16, ge=1)
    warmup_steps: float = Field(0.03, ge=0, description="Below 1 a share of all steps.")
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    optim: str = "adamw_torch_fused"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    seed: int = Field(42, ge=0)
    gradient_checkpointing: bool | None = Field(None, description="None: only where it is needed.")
    on_out_of_memory: Literal["recover", "raise"] = Field(
        "recover",
        description="recover: smaller micro-batches, then gradient checkpointing, an 8-bit "
        "optimizer, and QLoRA where method is auto; each is told. raise: stop.",
    )
    auto_find_batch_size: bool = Field(
        True, description="Of recover: may the micro-batch shrink; the step stays as large."
    )
    hang_timeout_minutes: float | None = Field(
        None, gt=0, description="End a run that stands still. None: 10; 60 or more if it computes."
    )
    eval_strategy: Literal["steps", "epoch", "no"] = "epoch"
    eval_steps: int | None = Field(None, ge=1)
    save_steps: int | None = Field(None, ge=1, description="None: about twenty a run.")
    save_total_limit: int = Field(2, ge=1)
    load_best_model_at_end: bool = Field(
        True, description="By validation loss; never the test set."
    )
    early_stopping_patience: int | None = Field(None, ge=1)
    logging_steps: int = Field(10, ge=1)
    report_to: Literal["none", "tensorboard", "mlflow", "wandb", "trackio"] = "none"
    resume_from_checkpoint: Literal["auto", "never"] = "auto"
    num_processes: int = Field(
        1,
        ge=1,
        description="More than one: accelerate launch; those of all machines together. Left out: one "
        "for each card of this machine.",
    )
    accelerate_config: Profile | Literal["auto"] = Field(
        "auto",
        description="How processes share the work, in TRL's words. multi_gpu: DDP; fsdp2, zero2, "
        "zero3: shares of the model. auto: multi_gpu if a device holds it whole, else fsdp2.",
    )
    num_machines: int = Field(
        1, ge=1, description="This one is the first; the run says what to start on the others."
    )
    main_process_ip: str | None = Field(
        None, min_length=1, description="This machine, as others reach it. None: MASTER_ADDR."
    )
    main_process_port: int | None = Field(
        None, ge=1, le=65535, description="None: MASTER_PORT, else 29500."
    )

    @field_validator("eval_strategy", mode="before")
    @classmethod
    def _yaml_reads_no_as_false(cls, value: object) -> object:
        return "no" if value is False else value

    @field_validator("resume_from_checkpoint", mode="before")
    @classmethod
    def _a_switch(cls, value: object) -> object:
        return {True: "auto", False: "never"}[value] if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _eval_steps_go_with_steps(self) -> TrainingSection:
        if self.eval_strategy == "steps" and self.eval_steps is None:
            raise ValueError("eval_strategy: steps needs eval_steps")
        return self

    @model_validator(mode="after")
    def _processes_stand_on_machines(self) -> TrainingSection:
        processes, machines = self.num_processes, self.num_machines
        if self.accelerate_config != "auto" and processes == 1:
            raise ValueError(
                f"accelerate_config: {self.accelerate_config} is for several processes, and "
                "num_processes is 1. Set it to the number of cards, or leave accelerate_config out"
            )
        if processes % machines:
            raise ValueError(
                f"num_processes: {processes} are those of all {machines} machines together, the "
                f"same number on each. Set it to a multiple of {machines}"
            )
        if machines == 1 and (self.main_process_ip or self.main_process_port):
            raise ValueError(
                "main_process_ip and main_process_port are for several machines, and num_machines "
                "is 1. Leave them out"
            )
        return self
