/**
 * The life of a client's connection, as one table: state and input to the next state. What is not in the table cannot come
 * from a correct shell; what the server can cause never becomes an input in those states.
 */

export type State =
  | "offline" // not asked to connect
  | "authorising" // waits for a token
  | "connecting" // waits for the WebSocket
  | "greeting" // Hello is out, or waits for a running commit
  | "catching_up" // welcome; rows of the past are still coming
  | "live"
  | "waiting" // until the next attempt
  | "closed"; // for good: a person must act

export type Input =
  | "start"
  | "stop"
  | "token"
  | "logged_out" // no token can be had any more
  | "opened"
  | "welcome"
  | "caught_up"
  | "lost" // try again
  | "lost_for_good"
  | "retry_due";

export const TABLE: Readonly<Record<State, Partial<Record<Input, State>>>> = {
  offline: { start: "authorising", stop: "offline" },
  authorising: { token: "connecting", lost: "waiting", logged_out: "closed", stop: "offline" },
  connecting: { opened: "greeting", lost: "waiting", lost_for_good: "closed", stop: "offline" },
  greeting: { welcome: "catching_up", lost: "waiting", lost_for_good: "closed", stop: "offline" },
  catching_up: {
    caught_up: "live",
    token: "catching_up",
    logged_out: "closed",
    lost: "waiting",
    lost_for_good: "closed",
    stop: "offline",
  },
  live: { token: "live", logged_out: "closed", lost: "waiting", lost_for_good: "closed", stop: "offline" },
  // A person asks: do not wait.
  waiting: { retry_due: "authorising", start: "authorising", stop: "offline" },
  closed: { stop: "closed" },
};

export const inSession = (state: State): boolean => state === "catching_up" || state === "live";
export const connected = (state: State): boolean => state === "connecting" || state === "greeting" || inSession(state);
