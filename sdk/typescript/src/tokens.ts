/**
 * The profile's tokens. Refresh tokens are used once: the nonce is stored before the request and the answer before the nonce
 * is forgotten, so that a lost answer can be asked for again. Many tabs may ask; one at a time refreshes.
 */

import type { Api, Session, Tokens } from "./api.js";
import { ApiError, LoggedOut } from "./errors.js";
import type { Platform } from "./platform/platform.js";
import type { ProfileStore } from "./store/store.js";

const TOKEN_MARGIN_MS = 30_000; // a token that ends sooner is not used any more
const NONCE_BYTES = 24;

/** 16 to 128 printable letters that nobody can guess. */
export function newNonce(platform: Platform): string {
  return [...platform.randomBytes(NONCE_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What the profile keeps of tokens. */
export function tokenRows(given: Tokens | Session, now: number): Record<string, unknown> {
  const { accessToken, expiresAt, refreshToken, serverTime } = given;
  const access_until = untilOf(expiresAt, serverTime, now);
  return { access_token: accessToken, access_until, refresh_token: refreshToken, refresh_nonce: undefined };
}

/** When a token ends by this machine's clock, which may be wrong. */
const untilOf = (expiresAt: number, serverTime: number, now: number): number =>
  serverTime > 0 ? now + expiresAt - serverTime : expiresAt;

export class TokenKeeper {
  /** `api` needs no token; `lock` names what tabs of one profile share. */
  constructor(
    private readonly store: ProfileStore,
    private readonly platform: Platform,
    private readonly api: Api,
    private readonly lock: string,
  ) {}

  /** An access token; with `fresh` a new one. Offline, ApiError, LoggedOut. */
  readonly access = async (fresh: boolean): Promise<string> => {
    const before = await this.stored();
    if (!fresh && before.good) return before.token;
    return await this.platform.locked(this.lock, undefined, async () => {
      const now = await this.stored();
      if (now.token !== before.token && now.good) return now.token; // somebody else was quicker
      return await this.refresh();
    });
  };

  /** The server gave a new access token on another way. */
  readonly adopt = async (accessToken: string, expiresAt: number, serverTime: number): Promise<void> => {
    const access_until = untilOf(expiresAt, serverTime, this.platform.now());
    await this.store.setMeta({ access_token: accessToken, access_until });
  };

  private async stored(): Promise<{ token: string; good: boolean }> {
    const token = await this.store.getMeta("access_token");
    const until = Number((await this.store.getMeta("access_until")) ?? 0);
    return { token: String(token ?? ""), good: this.platform.now() < until - TOKEN_MARGIN_MS };
  }

  private async refresh(): Promise<string> {
    const { used, nonce } = await this.store.transact(async (work) => {
      const used = String(await work.getMeta("refresh_token"));
      const pending = await work.getMeta("refresh_nonce");
      const nonce = typeof pending === "string" ? pending : newNonce(this.platform);
      work.setMeta({ refresh_nonce: nonce });
      return { used, nonce };
    });
    let given: Tokens;
    try {
      given = await this.api.refresh(used, nonce);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        throw new LoggedOut("this device was logged out: log in again", { cause: error });
      }
      throw error;
    }
    await this.store.setMeta(tokenRows(given, this.platform.now()));
    return given.accessToken;
  }
}
