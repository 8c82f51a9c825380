"""A long job whose progress a page follows, and which ends with a final event. Run it, then:

curl -N -d '{"steps": 5}' http://127.0.0.1:8080/jobs

A page uses fetch(), as EventSource cannot POST, or POSTs elsewhere and follows /jobs/{name}:

const source = new EventSource("/jobs/report");
source.addEventListener("progress", event => bar.value = JSON.parse(event.data).done);
source.addEventListener("finished", () => source.close());
"""

import json

import trio

from trio_sse import Bind, Event, Response, Routes, Stream, serve

routes = Routes()
finished: set[str] = set()


async def work(stream: Stream, steps: int) -> None:
    """Do the job; leaving the page cancels it here, wherever it is."""
    for step in range(1, steps + 1):
        await trio.sleep(0.2)
        await stream.send(Event.json({"done": step, "of": steps}, type="progress"))
    await stream.send(Event("all done", type="finished"))


@routes.post("/jobs", eager=False)
async def start(stream: Stream) -> Response | None:
    try:
        steps = int(json.loads(stream.request.body)["steps"])
    except (ValueError, KeyError, TypeError):
        return Response.text(400, 'Say how many: {"steps": 5}')
    await work(stream, steps)
    return None


@routes.get("/jobs/{name}")
async def follow(stream: Stream) -> Response | None:
    name = stream.params["name"]
    if name in finished:
        return Response(204)  # an EventSource that comes back is told to stay away
    await work(stream, steps=5)
    finished.add(name)
    return None


async def main(bind: Bind = Bind(port=8080)) -> None:  # noqa: B008 - a frozen value
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, routes, bind)
        print("Listening on", *server.addresses, flush=True)


if __name__ == "__main__":
    trio.run(main)
