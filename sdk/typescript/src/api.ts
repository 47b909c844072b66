/**
 * Api: the HTTP API of one server (accounts, devices, lists), one method per route.
 *
 * Every method rejects with ApiError when the server says no and with Offline when it cannot be reached.
 */

/** Who sees my presence, who may write to me, whether others see what I have read. */
export interface Privacy {
  readonly presence: "everyone" | "contacts" | "nobody";
  readonly messages: "everyone" | "contacts";
  readonly readReceipts: boolean;
}

/** A user as others see it. */
export interface Account {
  readonly user: string;
  readonly handle: string;
  readonly name: string;
}

/** My own account. */
export interface Me extends Account {
  readonly privacy: Privacy;
  readonly createdAt: number;
}

/** What a log-in gives: one device with its tokens. */
export interface Session {
  readonly user: string;
  readonly handle: string;
  readonly device: number;
  readonly accessToken: string;
  readonly expiresAt: number;
  readonly refreshToken: string;
  /** ms since 1970 by the answer's Date, 0 when it had none. */
  readonly serverTime: number;
}

/** What a new device shows for being let in: the password, or a code that another device of the account shows. */
export type Proof = { readonly password: string } | { readonly code: string };

/** A code with which one new device logs in, as people read and type it. */
export interface LinkCode {
  readonly code: string;
  readonly expiresAt: number;
  /** ms since 1970 by the answer's Date, 0 when it had none. */
  readonly serverTime: number;
}

/** What a refresh gives. */
export interface Tokens {
  readonly accessToken: string;
  readonly expiresAt: number;
  readonly refreshToken: string;
  readonly serverTime: number;
}

/** One of my devices. */
export interface Device {
  readonly device: number;
  readonly name: string;
  readonly linkedAt: number;
  readonly seenAt: number;
  readonly online: boolean;
  /** The one that asks. */
  readonly current: boolean;
}

/** Somebody on my list, under the name I gave ("" when none). */
export interface Contact {
  readonly user: string;
  readonly name: string;
  readonly addedAt: number;
}

export interface ServerInfo {
  readonly version: string;
  readonly registration: "open" | "invite" | "closed";
  readonly protocols: readonly string[];
}

/** Gives an access token; asked with true when the last one was refused as expired. */
export type TokenSource = (fresh: boolean) => Promise<string>;

/** The API. Made by `new HttpApi(...)` without a token, or found as `client.api`, which refreshes its token by itself. */
export interface Api {
  /** What the server is, and whether it takes registrations. */
  info(): Promise<ServerInfo>;
  /** Make an account. HANDLE_TAKEN, INVITE_INVALID, REGISTRATION_CLOSED, INVALID_REQUEST. */
  register(given: { handle: string; password: string; name?: string; invite?: string }): Promise<Account>;
  /**
   * Link a device; `IrisClient.logIn` does it and keeps the profile. CREDENTIALS_WRONG for a password, LINK_CODE_INVALID for a
   * code; DEVICE_LIMIT, RATE_LIMITED.
   */
  logIn(given: Proof & { handle: string; deviceName: string; nonce: string }): Promise<Session>;
  /** The next refresh token and an access token. The nonce must be stored before, and repeated after a lost answer. */
  refresh(refreshToken: string, nonce: string): Promise<Tokens>;
  /** Unlink this device. `IrisClient.logOut` also forgets the profile. */
  logOut(): Promise<void>;
  /** Log out on all devices; with `keepCurrent` on all others. */
  logOutAll(keepCurrent: boolean): Promise<void>;
  devices(): Promise<Device[]>;
  /** A code that logs in one new device without the password, once and soon. The one before it is void. */
  linkCode(): Promise<LinkCode>;
  /** Log out one of my devices. UNKNOWN_DEVICE. */
  unlink(device: number): Promise<void>;
  me(): Promise<Me>;
  /** Change what is given. HANDLE_TAKEN. */
  updateMe(change: { handle?: string; name?: string; privacy?: Partial<Privacy> }): Promise<Me>;
  /** Delete the account and everything of it. CREDENTIALS_WRONG. */
  deleteMe(password: string): Promise<void>;
  /** All other devices are logged out. CREDENTIALS_WRONG. */
  changePassword(oldPassword: string, newPassword: string): Promise<void>;
  contacts(): Promise<Contact[]>;
  /** Add, or rename on one's own list. UNKNOWN_USER, LIST_FULL, SELF. */
  putContact(user: string, name?: string): Promise<void>;
  deleteContact(user: string): Promise<void>;
  /** The users I have blocked. */
  blocks(): Promise<string[]>;
  /** UNKNOWN_USER, LIST_FULL, SELF. */
  block(user: string): Promise<void>;
  unblock(user: string): Promise<void>;
  /** UNKNOWN_USER. */
  user(user: string): Promise<Account>;
  /** Who has this handle. UNKNOWN_USER, also for what cannot be a handle. */
  handle(handle: string): Promise<Account>;
}
