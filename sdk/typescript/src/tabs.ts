/** What tabs of one profile tell each other. All of them read the profile itself; this says when to look, and what is only of now. */

import type { Id } from "./core/frames.js";
import type { Connection, Presence, Profile } from "./events.js";
import type { Channel, Platform } from "./platform/platform.js";

export type TabMessage =
  /** Somebody has committed rows. */
  | { kind: "committed" }
  /** From the tab that holds the connection. */
  | { kind: "connection"; connection: Connection }
  | { kind: "presence"; presence: Presence }
  | { kind: "typing"; conversation: Id; sender: Id; active: boolean }
  /** A tab takes over: say whom you watch. */
  | { kind: "holder" }
  /** To the tab that holds the connection. */
  | { kind: "arrived" }
  | { kind: "watch"; tab: string; users: readonly Id[] }
  | { kind: "set_typing"; conversation: Id; active: boolean }
  | { kind: "read"; conversation: Id; seq: number }
  | { kind: "wake" }
  | { kind: "profile"; profile: Profile };

const TABS_MAX = 32; // whose watched users are known; above it the one that spoke longest ago goes

export const lockNames = (profile: string) => ({ hold: `iris/${profile}/hold`, refresh: `iris/${profile}/refresh` });
export const databaseName = (profile: string): string => `iris/${profile}`;

/** The channel of a profile. */
export class Tabs {
  readonly me: string;
  private readonly channel: Channel;

  constructor(platform: Platform, profile: string, hear: (message: TabMessage) => void) {
    this.me = [...platform.randomBytes(8)].join(".");
    this.channel = platform.openChannel(`iris/${profile}`);
    this.channel.onmessage = (message) => hear(message as TabMessage);
  }

  post(message: TabMessage): void {
    this.channel.post(message);
  }

  close(): void {
    this.channel.close();
  }
}

/** Whom the tabs watch, all together. */
export class Watched {
  private readonly byTab = new Map<string, readonly Id[]>();

  set(tab: string, users: readonly Id[]): void {
    this.byTab.delete(tab);
    if (users.length > 0) this.byTab.set(tab, users);
    if (this.byTab.size > TABS_MAX) {
      for (const [longest] of this.byTab) {
        this.byTab.delete(longest);
        break;
      }
    }
  }

  /** Those of the tab that spoke last first. */
  all(): Id[] {
    return [...new Set([...this.byTab.values()].reverse().flat())];
  }
}
