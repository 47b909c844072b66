/** What the tab that holds the connection must not miss. In virtual time, on sockets that a test speaks for. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, it, vi } from "vitest";
import type { OpenOptions } from "../src/client.js";
import { fromHex, userText } from "../src/ids.js";
import { IrisClient } from "../src/iris.js";
import { ClientFrameSchema, ServerFrameSchema } from "../src/pb/frames_pb.js";
import { ProfileStore } from "../src/store/store.js";
import { Watched } from "../src/tabs.js";
import { ADA, fromBob, TALK } from "./profiles.js";
import { soon, Virtual } from "./virtual.js";

afterEach(() => vi.restoreAllMocks());

it("the tab that spoke last is watched for first, and one that is gone no longer", () => {
  const watched = new Watched();
  watched.set("one", ["a", "b"]);
  watched.set("two", ["c", "a"]);
  expect(watched.all()).toEqual(["c", "a", "b"]);
  watched.set("one", ["d"]);
  expect(watched.all()).toEqual(["d", "c", "a"]);
  watched.set("two", []);
  expect(watched.all()).toEqual(["d"]);
  for (let i = 0; i < 100; i++) watched.set(`tab ${i}`, [`user ${i}`]);
  expect(watched.all()).toHaveLength(32);
  expect(watched.all()[0]).toBe("user 99");
});

it("what is asked for while the connection is taken over is not forgotten", async () => {
  const world = new Virtual();
  const session = { user_id: userText(ADA), handle: "ada", device: 1, access_token: "a", refresh_token: "r" };
  const answer = JSON.stringify({ ...session, expires_at: 2e12 });
  const platform = world.platform(async () => new Response(answer, { status: 201 }));
  const options: OpenOptions = { server: "http://127.0.0.1:1", platform, profile: "taken-over" };
  const given = { handle: "ada", password: "p", deviceName: "d" };
  await (await IrisClient.logIn({ ...options, hold: false }, given)).close();

  let goOn: (() => void) | undefined;
  const { hold } = ProfileStore.prototype;
  vi.spyOn(ProfileStore.prototype, "hold").mockImplementation(async function (this: ProfileStore, name) {
    const held = await hold.call(this, name);
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    return held;
  });
  const client = await IrisClient.open(options);
  await soon(() => goOn !== undefined);
  const store = await ProfileStore.open("iris/taken-over", () => undefined);
  const holder = String(await store.getMeta("holder"));
  await store.apply([fromBob(1, 10)], holder);
  await client.send(TALK, "in between");
  await client.markRead(TALK);
  goOn?.();

  await soon(() => world.sockets.length === 1);
  world.socket.onopen?.();
  const kinds = () => world.socket.sent.map((data) => fromBinary(ClientFrameSchema, data).body.case);
  await soon(() => kinds().includes("hello"));
  const value = { user: fromHex(ADA), device: 1, time: BigInt(world.time) };
  world.socket.says(toBinary(ServerFrameSchema, create(ServerFrameSchema, { body: { case: "welcome", value } })));
  await soon(() => kinds().includes("send") && kinds().includes("read"));
  store.close();
  await client.close();
});
