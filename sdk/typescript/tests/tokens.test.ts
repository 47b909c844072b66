/** Refresh tokens are used once, whatever is lost and however many tabs ask. */

import { beforeEach, expect, it } from "vitest";
import type { Api, Tokens } from "../src/api.js";
import { ApiError, LoggedOut, Offline } from "../src/errors.js";
import type { ProfileStore } from "../src/store/store.js";
import { TokenKeeper, tokenRows } from "../src/tokens.js";
import { openStore } from "./profiles.js";
import { Virtual } from "./virtual.js";

const HOUR = 3_600_000;
let world: Virtual;
let store: ProfileStore;
let asked: [string, string][];
let answer: (token: string, nonce: string) => Promise<Tokens>;

const tokens = (number: number): Tokens => ({
  accessToken: `access ${number}`,
  refreshToken: `refresh ${number}`,
  expiresAt: world.time + HOUR,
  serverTime: world.time,
});

function keeper(): TokenKeeper {
  const refresh = (token: string, nonce: string) => {
    asked.push([token, nonce]);
    return answer(token, nonce);
  };
  return new TokenKeeper(store, world.platform(), { refresh } as Partial<Api> as Api, "lock");
}

beforeEach(async () => {
  world = new Virtual();
  store = await openStore();
  asked = [];
  answer = async () => tokens(asked.length);
  await store.setMeta(tokenRows(tokens(0), world.time));
});

it("the one in hand is used until it nearly ends", async () => {
  const one = keeper();
  expect(await one.access(false)).toBe("access 0");
  world.pass(HOUR - 30_000);
  expect(await one.access(false)).toBe("access 1");
  expect(asked.map(([token]) => token)).toEqual(["refresh 0"]);
  expect(await one.access(true)).toBe("access 2");
  expect(asked.map(([token]) => token)).toEqual(["refresh 0", "refresh 1"]);
});

it("two tabs that ask at once refresh once", async () => {
  const both = [keeper(), keeper()].map((one) => one.access(true));
  expect(await Promise.all(both)).toEqual(["access 1", "access 1"]);
  expect(asked).toHaveLength(1);
});

it("a lost answer is asked for again with the same token and nonce, also by another tab", async () => {
  answer = () => Promise.reject(new Offline("gone"));
  await expect(keeper().access(true)).rejects.toBeInstanceOf(Offline);
  answer = async () => tokens(1);
  expect(await keeper().access(true)).toBe("access 1");
  expect(asked[0]).toEqual(asked[1]);
  await keeper().access(true);
  expect(asked[2]?.[0]).toBe("refresh 1");
  expect(asked[2]?.[1]).not.toBe(asked[1]?.[1]);
});

it("the nonce is on the disk before it is used, the next token before it is told", async () => {
  answer = async (_, nonce) => {
    expect(await store.getMeta("refresh_nonce")).toBe(nonce);
    return tokens(1);
  };
  await keeper().access(true);
  expect(await store.getMeta("refresh_token")).toBe("refresh 1");
  expect(await store.getMeta("refresh_nonce")).toBeUndefined();
});

it("is logged out only when the server says so", async () => {
  answer = () => Promise.reject(new ApiError("OVERLOADED", { status: 503 }));
  await expect(keeper().access(true)).rejects.toMatchObject({ name: "OVERLOADED" });
  answer = () => Promise.reject(new ApiError("REFRESH_INVALID", { status: 401 }));
  await expect(keeper().access(true)).rejects.toBeInstanceOf(LoggedOut);
});

it("a clock that is wrong by a day does not matter", async () => {
  const expiresAt = world.time + 24 * HOUR + HOUR;
  await keeper().adopt("access 9", expiresAt, world.time + 24 * HOUR);
  world.pass(HOUR - 31_000);
  expect(await keeper().access(false)).toBe("access 9");
  world.pass(1000);
  expect(await keeper().access(false)).toBe("access 1");
});
