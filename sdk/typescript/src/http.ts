/** HttpApi: the API on `fetch`. See api.ts for what each method does. */

import type { Address } from "./address.js";
import type {
  Account,
  Api,
  Contact,
  Device,
  LinkCode,
  Me,
  Privacy,
  Proof,
  ServerInfo,
  Session,
  TokenSource,
  Tokens,
} from "./api.js";
import { ApiError, Offline } from "./errors.js";
import { normalHandle } from "./ids.js";

const TIMEOUT_MS = 30_000; // above the server's own time-out for a request
const REFRESH_HELPS = new Set(["TOKEN_EXPIRED", "TOKEN_REVOKED"]); // revoked: perhaps all other tokens, not this device

/** Takes an access token that replaces the one in use. */
export type TokenSink = (accessToken: string, expiresAt: number, serverTime: number) => Promise<void>;

export interface HttpOptions {
  readonly fetch: typeof globalThis.fetch;
  /** What needs a token fails without it. */
  readonly token?: TokenSource;
  readonly adopt?: TokenSink;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of the server, read field by field below
type Json = any;
interface Request {
  readonly body?: Record<string, unknown>;
  readonly token?: boolean;
}
interface Answer {
  readonly said: Json;
  readonly serverTime: number;
}

export class HttpApi implements Api {
  constructor(
    private readonly address: Address,
    private readonly options: HttpOptions,
  ) {}

  // --- without a token ---

  async info(): Promise<ServerInfo> {
    return (await this.call("GET", "/v1/info", { token: false })).said;
  }

  async register(given: { handle: string; password: string; name?: string; invite?: string }): Promise<Account> {
    const { said } = await this.call("POST", "/v1/users", { body: given, token: false });
    return accountOf(said);
  }

  async logIn(given: Proof & { handle: string; deviceName: string; nonce: string }): Promise<Session> {
    const { deviceName, ...rest } = given;
    const path = "code" in given ? "/v1/sessions/link-code" : "/v1/sessions";
    const body = { ...rest, device_name: deviceName };
    const { said, serverTime } = await this.call("POST", path, { body, token: false });
    return { user: said.user_id, handle: said.handle, device: said.device, ...tokensOf(said, serverTime) };
  }

  async refresh(refreshToken: string, nonce: string): Promise<Tokens> {
    const body = { refresh_token: refreshToken, nonce };
    const { said, serverTime } = await this.call("POST", "/v1/tokens", { body, token: false });
    return tokensOf(said, serverTime);
  }

  // --- sessions and devices ---

  async logOut(): Promise<void> {
    await this.call("DELETE", "/v1/sessions/current");
  }

  async logOutAll(keepCurrent: boolean): Promise<void> {
    const answer = await this.call("DELETE", `/v1/sessions?keep_current=${keepCurrent}`);
    if (keepCurrent) await this.adopted(answer);
  }

  async devices(): Promise<Device[]> {
    const { said } = await this.call("GET", "/v1/devices");
    return said.devices.map(({ device, name, linked_at, seen_at, online, current }: Json) => ({
      ...{ device, name, linkedAt: linked_at, seenAt: seen_at, online, current },
    }));
  }

  async linkCode(): Promise<LinkCode> {
    const { said, serverTime } = await this.call("POST", "/v1/me/link-code");
    return { code: said.code, expiresAt: said.expires_at, serverTime };
  }

  async unlink(device: number): Promise<void> {
    await this.call("DELETE", `/v1/devices/${device}`);
  }

  // --- my account ---

  async me(): Promise<Me> {
    return meOf((await this.call("GET", "/v1/me")).said);
  }

  async updateMe(change: { handle?: string; name?: string; privacy?: Partial<Privacy> }): Promise<Me> {
    const { privacy, ...rest } = change;
    const body: Record<string, unknown> = { ...rest };
    if (privacy !== undefined) {
      const { readReceipts, ...others } = privacy;
      body.privacy = readReceipts === undefined ? others : { ...others, read_receipts: readReceipts };
    }
    return meOf((await this.call("PATCH", "/v1/me", { body })).said);
  }

  async deleteMe(password: string): Promise<void> {
    await this.call("DELETE", "/v1/me", { body: { password } });
  }

  async changePassword(oldPassword: string, newPassword: string): Promise<void> {
    const body = { old_password: oldPassword, new_password: newPassword };
    await this.adopted(await this.call("POST", "/v1/me/password", { body }));
  }

  // --- lists ---

  async contacts(): Promise<Contact[]> {
    const { said } = await this.call("GET", "/v1/contacts");
    return said.contacts.map(({ user_id, name, added_at }: Json) => ({ user: user_id, name, addedAt: added_at }));
  }

  async putContact(user: string, name?: string): Promise<void> {
    await this.call("PUT", `/v1/contacts/${encodeURIComponent(user)}`, { body: name === undefined ? {} : { name } });
  }

  async deleteContact(user: string): Promise<void> {
    await this.call("DELETE", `/v1/contacts/${encodeURIComponent(user)}`);
  }

  async blocks(): Promise<string[]> {
    return (await this.call("GET", "/v1/blocks")).said.users;
  }

  async block(user: string): Promise<void> {
    await this.call("PUT", `/v1/blocks/${encodeURIComponent(user)}`);
  }

  async unblock(user: string): Promise<void> {
    await this.call("DELETE", `/v1/blocks/${encodeURIComponent(user)}`);
  }

  // --- others ---

  async user(user: string): Promise<Account> {
    return accountOf((await this.call("GET", `/v1/users/${encodeURIComponent(user)}`)).said);
  }

  async handle(handle: string): Promise<Account> {
    const normal = normalHandle(handle);
    if (normal === undefined) {
      const detail = "a handle has 3 to 32 letters a-z, digits, dots or underscores, and starts with a letter";
      throw new ApiError("UNKNOWN_USER", { code: 1007, status: 404, detail });
    }
    return accountOf((await this.call("GET", `/v1/handles/${encodeURIComponent(normal)}`)).said);
  }

  // --- transport ---

  /** An expired token is replaced once. */
  private async call(method: string, path: string, request: Request = {}): Promise<Answer> {
    try {
      return await this.once(method, path, request, false);
    } catch (error) {
      const helps = error instanceof ApiError && REFRESH_HELPS.has(error.name) && request.token !== false;
      if (!helps || this.options.token === undefined) throw error;
      return await this.once(method, path, request, true);
    }
  }

  private async once(method: string, path: string, request: Request, fresh: boolean): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (request.token !== false) {
      if (this.options.token === undefined) throw new ApiError("TOKEN_INVALID", { code: 1020, detail: "no token" });
      headers.authorization = `Bearer ${await this.options.token(fresh)}`;
    }
    const init: RequestInit = {
      ...{ method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) },
      ...{ redirect: "error", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" },
    };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    const url = this.address.apiUrl + path;
    let response: Response;
    let text: string;
    try {
      response = await this.options.fetch(url, init);
      text = await response.text();
    } catch (error) {
      throw new Offline(`${this.address.apiUrl} cannot be reached`, { cause: error });
    }
    if (!response.ok) throw errorOf(response.status, text);
    try {
      const said = text === "" ? {} : JSON.parse(text);
      return { said, serverTime: Date.parse(response.headers.get("date") ?? "") || 0 };
    } catch (error) {
      throw new Offline(`${url}: the answer is not JSON`, { cause: error });
    }
  }

  private async adopted({ said, serverTime }: Answer): Promise<void> {
    await this.options.adopt?.(said.access_token, said.expires_at, serverTime);
  }
}

function errorOf(status: number, text: string): ApiError {
  let said: Json;
  try {
    said = JSON.parse(text);
  } catch {
    said = undefined;
  }
  if (typeof said?.title !== "string") return new ApiError(`HTTP_${status}`, { status });
  const listed: Json[] = Array.isArray(said.errors) ? said.errors : [];
  return new ApiError(said.title, {
    code: Number(said.code) || 0,
    status,
    detail: String(said.detail ?? ""),
    retryAfterMs: Number(said.retry_after_ms) || 0,
    fields: listed.map((one) => ({ field: String(one?.field ?? ""), message: String(one?.message ?? "") })),
  });
}

const accountOf = (said: Json): Account => ({ user: said.user_id, handle: said.handle, name: said.name });

const tokensOf = (said: Json, serverTime: number): Tokens => ({
  accessToken: said.access_token,
  expiresAt: said.expires_at,
  refreshToken: said.refresh_token,
  serverTime,
});

function meOf(said: Json): Me {
  const { presence, messages, read_receipts } = said.privacy;
  return {
    ...accountOf(said),
    privacy: { presence, messages, readReceipts: read_receipts },
    createdAt: said.created_at,
  };
}
