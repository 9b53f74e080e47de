"""Sends the metrics of a run to W&B, MLflow or trackio.

    python follow_run.py RUN wandb|mlflow|trackio [--once]

RUN is a run folder of dino-vmf. The script sends what `metrics.jsonl` has, and then each new line, until Ctrl-C;
`--once` ends at the last line. Needs Python 3.11 and the package. docs/following.md says more.
"""

import importlib
import json
import sys
import time
import tomllib
from pathlib import Path

DATA = ("images_per_second", "data_wait_share", "memory_mib")


def numbers(record):
    """The numbers of one line, under the names that TensorBoard shows."""
    for name, value in record.items():
        if name == "diagnostics":
            for key, part in value.items():
                if key == "step":
                    continue
                inner = part.items() if isinstance(part, dict) else [("", part)]
                yield from ((f"{name}/{key}/{last}".rstrip("/"), number) for last, number in inner)
        elif isinstance(value, dict) and "scores" in value:  # an evaluation, such as k-NN
            for scores in value["scores"]:
                setting = "".join(f"_{key}{scores[key]}" for key in scores if key == "k")
                for score in scores.keys() - {"k"}:
                    yield f"eval/{name}{setting}_{score}/{value['features']}", scores[score]
        elif name not in ("step", "skipped"):
            yield f"{'data' if name in DATA else 'train'}/{name}", value


def follow(path, once):
    """The lines of a file that grows."""
    with open(path, "rb") as file:
        rest = b""
        while True:
            rest += file.readline()
            if rest.endswith(b"\n"):
                yield json.loads(rest)
                rest = b""
            elif once:
                return
            else:
                time.sleep(1)


def start(package, run):
    """Starts a run there, and returns a function that takes numbers and their step."""
    settings = tomllib.loads((run / "config.toml").read_text())
    settings = {
        f"{section}.{key}": value
        for section, keys in settings.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }
    api = importlib.import_module(package)
    if package == "mlflow":
        api.set_experiment("dino-vmf")
        api.start_run(run_name=run.name)
        api.log_params(settings)
        return lambda values, step: api.log_metrics(values, step=step)
    api.init(project="dino-vmf", name=run.name, config=settings)
    return lambda values, step: api.log(values, step=step)


def main():
    run, package = Path(sys.argv[1]).resolve(), sys.argv[2]
    send = start(package, run)
    try:
        for record in follow(run / "metrics.jsonl", "--once" in sys.argv):
            values = {name: value for name, value in numbers(record) if isinstance(value, (int, float))}
            if values:
                send(values, record["step"])
    except KeyboardInterrupt:
        pass
    api = sys.modules[package]
    (api.end_run if package == "mlflow" else api.finish)()


if __name__ == "__main__":
    main()
