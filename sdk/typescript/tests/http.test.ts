/** The API's requests and errors, on a fetch that is scripted. */

import { describe, expect, it } from "vitest";
import { parseServer } from "../src/address.js";
import { ApiError, Offline, ProfileError } from "../src/errors.js";
import { HttpApi } from "../src/http.js";

interface Asked {
  method: string;
  url: string;
  token: string | null;
  body: unknown;
}

const inits: RequestInit[] = [];

function scripted(...answers: (Response | Error)[]) {
  const asked: Asked[] = [];
  const fetch = async (url: string | URL | Request, init: RequestInit = {}) => {
    inits.push(init);
    const token = new Headers(init.headers).get("authorization");
    const body = init.body === undefined ? undefined : JSON.parse(String(init.body));
    asked.push({ method: init.method ?? "", url: String(url), token, body });
    const answer = answers.shift();
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error("asked too often");
    return answer;
  };
  return { asked, fetch };
}

const address = parseServer("http://127.0.0.1:8460");
const problem = (status: number, title: string, more: object = {}) =>
  new Response(JSON.stringify({ title, status, code: 1021, detail: "why", ...more }), { status });

describe("addresses", () => {
  it.each([
    ["https://chat.example.org", "https://chat.example.org", "wss://chat.example.org/v1/connect"],
    ["chat.example.org:8443", "https://chat.example.org:8443", "wss://chat.example.org:8443/v1/connect"],
    ["ws://localhost:1/", "http://localhost:1", "ws://localhost:1/v1/connect"],
    ["http://[::1]:1", "http://[::1]:1", "ws://[::1]:1/v1/connect"],
  ])("%s", (server, apiUrl, connectUrl) => expect(parseServer(server)).toEqual({ apiUrl, connectUrl }));

  it.each(["http://chat.example.org", "ftp://a", "https://a/path", "https://u@a", "https://", "http://127.evil.org"])(
    "%s is refused",
    (server) => expect(() => parseServer(server)).toThrow(ProfileError),
  );
});

describe("the API", () => {
  it("sends what it is given and reads the answer", async () => {
    const date = { headers: { date: "Thu, 01 Jan 2026 00:00:00 GMT" } };
    const said = { user_id: "u", handle: "ada", device: 2, access_token: "a", expires_at: 5, refresh_token: "r" };
    const { asked, fetch } = scripted(new Response(JSON.stringify(said), date));
    const api = new HttpApi(address, { fetch });
    const session = await api.logIn({ handle: "ada", password: "p", deviceName: "d", nonce: "n" });
    const tokens = { accessToken: "a", expiresAt: 5, refreshToken: "r", serverTime: 1767225600000 };
    expect(session).toEqual({ user: "u", handle: "ada", device: 2, ...tokens });
    const body = { handle: "ada", password: "p", device_name: "d", nonce: "n" };
    expect(asked).toEqual([{ method: "POST", url: "http://127.0.0.1:8460/v1/sessions", token: null, body }]);
  });

  it("asks for a link code, and logs in with one", async () => {
    const date = { headers: { date: "Thu, 01 Jan 2026 00:00:00 GMT" } };
    const said = { user_id: "u", handle: "ada", device: 2, access_token: "a", expires_at: 5, refresh_token: "r" };
    const { asked, fetch } = scripted(
      new Response('{"code": "7K3M-9QXT", "expires_at": 9}', { status: 201, ...date }),
      new Response(JSON.stringify(said), date),
    );
    const { code, ...when } = await new HttpApi(address, { fetch, token: async () => "t" }).linkCode();
    expect(when).toEqual({ expiresAt: 9, serverTime: 1767225600000 });
    const session = await new HttpApi(address, { fetch }).logIn({ handle: "ada", code, deviceName: "d", nonce: "n" });
    expect(session).toMatchObject({ user: "u", device: 2, refreshToken: "r" });
    const body = { handle: "ada", code: "7K3M-9QXT", device_name: "d", nonce: "n" };
    expect(asked).toEqual([
      { method: "POST", url: "http://127.0.0.1:8460/v1/me/link-code", token: "Bearer t", body: undefined },
      { method: "POST", url: "http://127.0.0.1:8460/v1/sessions/link-code", token: null, body },
    ]);
  });

  it("gives the token to the server that was named, and leaves nothing behind", async () => {
    const { fetch } = scripted(new Response('{"users": []}'));
    await new HttpApi(address, { fetch, token: async () => "a" }).blocks();
    const wanted = { redirect: "error", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" };
    expect(inits.at(-1)).toMatchObject(wanted);
  });

  it("asks for a fresh token once", async () => {
    const { asked, fetch } = scripted(problem(401, "TOKEN_EXPIRED"), new Response('{"users": ["u"]}'));
    const api = new HttpApi(address, { fetch, token: async (fresh) => (fresh ? "new" : "old") });
    expect(await api.blocks()).toEqual(["u"]);
    expect(asked.map((one) => one.token)).toEqual(["Bearer old", "Bearer new"]);
  });

  it("tells refusals by their name", async () => {
    const errors = [{ field: "handle", message: "too short" }];
    const { fetch } = scripted(problem(422, "INVALID_REQUEST", { errors }), new Response("<html>", { status: 502 }));
    const api = new HttpApi(address, { fetch });
    const given = { handle: "a", password: "p" };
    await expect(api.register(given)).rejects.toMatchObject({
      ...{ name: "INVALID_REQUEST", status: 422, message: "INVALID_REQUEST: why: handle: too short", fields: errors },
    });
    await expect(api.register(given)).rejects.toMatchObject({ name: "HTTP_502" });
  });

  it("tells when nobody answers, or somebody else", async () => {
    const { fetch } = scripted(new TypeError("no route"), new Response("hello"));
    const api = new HttpApi(address, { fetch });
    await expect(api.info()).rejects.toBeInstanceOf(Offline);
    await expect(api.info()).rejects.toBeInstanceOf(Offline);
  });

  it("needs a token where one is needed, and asks nobody for what cannot be a handle", async () => {
    const { asked, fetch } = scripted();
    const api = new HttpApi(address, { fetch });
    await expect(api.me()).rejects.toMatchObject({ name: "TOKEN_INVALID" });
    await expect(api.handle("!")).rejects.toMatchObject({ name: "UNKNOWN_USER" });
    await expect(api.handle("!")).rejects.toBeInstanceOf(ApiError);
    expect(asked).toEqual([]);
  });

  it("hands over the token that replaces the one in use", async () => {
    const { fetch } = scripted(new Response('{"access_token": "b", "expires_at": 7}'));
    const adopted: unknown[] = [];
    const adopt = async (...given: unknown[]) => void adopted.push(given);
    await new HttpApi(address, { fetch, token: async () => "a", adopt }).changePassword("one", "two");
    expect(adopted).toEqual([["b", 7, 0]]);
  });

  it("changes only what is given", async () => {
    const me = { user_id: "u", handle: "ada", name: "", created_at: 1 };
    const privacy = { presence: "everyone", messages: "everyone", read_receipts: false };
    const { asked, fetch } = scripted(new Response(JSON.stringify({ ...me, privacy })));
    const changed = await new HttpApi(address, { fetch, token: async () => "a" }).updateMe({
      privacy: { readReceipts: false },
    });
    expect(asked[0]?.body).toEqual({ privacy: { read_receipts: false } });
    expect(changed.privacy).toEqual({ presence: "everyone", messages: "everyone", readReceipts: false });
  });
});
