import { connect, createServer } from "node:net";

/** Pass connections on to the service, and break a part of them with a request in flight. */
export async function network(t, service) {
  const { port } = new URL(service.url);
  const state = { broken: 0, lost: { request: 0, answer: 0 }, url: "", count: 0, breakAll };
  let seed = 63;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const sockets = new Set();
  function breakAll() {
    for (const each of sockets) each.destroy();
  }
  const server = createServer((near) => {
    state.count += 1;
    const far = connect(Number(port), "127.0.0.1");
    const pass = (from, to, what) =>
      from.on("data", (chunk) => {
        if (random() >= state.broken) return to.write(chunk);
        state.lost[what] += 1;
        near.resetAndDestroy();
        return far.destroy();
      });
    pass(near, far, "request");
    pass(far, near, "answer");
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    breakAll();
    server.close();
  });
  state.url = `http://127.0.0.1:${server.address().port}`;
  return state;
}
