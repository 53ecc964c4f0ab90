"""Asks a server over gRPC with tritonclient, in an environment that has it, and prints its answers as JSON.

Arguments: host:port, model, input, a .npy file of batches, a file to write the first request to, framed for gRPC.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

# By name: only the environment that this runs in has it, and its types nowhere.
grpc = import_module("tritonclient.grpc")

WHERE, MODEL, INPUT, ROWS, MESSAGE = sys.argv[1:6]


def tensor(rows: Any) -> Any:
    found = grpc.InferInput(INPUT, list(rows.shape), "FP32")
    found.set_data_from_numpy(rows)
    return found


def message(rows: Any) -> bytes:
    request = grpc.service_pb2.ModelInferRequest(model_name=MODEL, raw_input_contents=[rows.tobytes()])
    request.inputs.add(name=INPUT, datatype="FP32", shape=rows.shape)
    content = bytes(request.SerializeToString())
    return b"\0" + len(content).to_bytes(4, "big") + content


def main() -> None:
    batches = np.load(ROWS)
    Path(MESSAGE).write_bytes(message(batches[0]))
    answers, smallest = [], sys.maxsize
    with grpc.InferenceServerClient(WHERE) as client:
        for rows in batches:
            result = client.infer(MODEL, [tensor(rows)])
            response = result.get_response()
            smallest = min(smallest, response.ByteSize())
            names = [output.name for output in response.outputs]
            answers.append({name: result.as_numpy(name).reshape(-1).tolist() for name in names})
    print(json.dumps({"answers": answers, "answer_bytes": smallest}))


if __name__ == "__main__":
    main()
