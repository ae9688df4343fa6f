"""Pretrain and measure the small base model of `tasks/assets/base`."""
