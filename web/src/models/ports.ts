/** What models take from the browser. src/platform makes it, main.tsx hands it in, tests pass their own. */

/** Small values that are there before the profile is open and are written at once: theme, language, text being typed. */
export interface KeyValue {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  remove(key: string): void;
}

/** Where the user is: the part of the address behind `#`. */
export interface Address {
  current(): string;
  /** A new step of the history; `replace` changes the present one. */
  go(path: string, replace: boolean): void;
  back(): void;
  /** Returns what ends it. */
  onChange(changed: (path: string) => void): () => void;
}

export type Permission = "granted" | "denied" | "default" | "unsupported";

export interface Notice {
  readonly title: string;
  readonly body: string;
  /** A later notice of the same tag takes its place. */
  readonly tag: string;
  /** Where a click on it leads. */
  readonly path: string;
}

export interface Notices {
  permission(): Permission;
  ask(): Promise<Permission>;
  show(notice: Notice): void;
}

export interface Ports {
  /** The wall clock, ms since 1970. */
  now(): number;
  /** Calls `work` after `ms`; returns what takes that back. */
  later(ms: number, work: () => void): () => void;
  readonly store: KeyValue;
  readonly address: Address;
  readonly notices: Notices;
  /** Whether the page is in front and has the keyboard. */
  inFront(): boolean;
  onFront(changed: () => void): () => void;
  /** The page may be gone after this. */
  onHide(work: () => void): () => void;
  copy(text: string): Promise<void>;
  /** What the user will see in the list of devices: "Chrome on Linux". */
  readonly deviceName: string;
  /** https://chat.example.org */
  readonly origin: string;
  readonly languages: readonly string[];
  setTitle(title: string): void;
  reload(): void;
}
