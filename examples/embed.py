"""A hub and a handler in a program of your own. Run it, then:

curl -N http://127.0.0.1:8080/news
curl -N http://127.0.0.1:8080/count
"""

from itertools import count

import trio

from trio_sse import Bind, Follow, Limits, Request, Routes, Stream, open_hub, serve


async def main(bind: Bind = Bind(port=8080)) -> None:  # noqa: B008 - a frozen value
    routes = Routes()
    async with open_hub() as hub, trio.open_nursery() as nursery:

        @routes.get("/news")  # everyone hears the same at once; nothing runs per client
        def news(request: Request) -> Follow:
            return Follow(hub, ("news",), request.last_event_id)

        @routes.get("/count")  # a task per client, cancelled when the client leaves
        async def counting(stream: Stream) -> None:
            for number in count():
                await stream.send(str(number))
                await trio.sleep(1)

        server = await nursery.start(serve, routes, bind, Limits())
        print("Listening on", *server.addresses, flush=True)
        for number in count():
            hub.publish("news", f"item {number}")
            await trio.sleep(1)


if __name__ == "__main__":
    trio.run(main)
