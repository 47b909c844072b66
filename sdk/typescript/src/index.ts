/** The door of the SDK: what applications import. */

export type * from "./api.js";
export { LIMITS, type Limits } from "./catalogue.js";
export type {
  IrisClients,
  OpenOptions,
  Page,
  ProfileInfo,
  SearchOptions,
  Sent,
} from "./client.js";
export type * from "./content/content.js";
export * from "./errors.js";
export * from "./events.js";
export { IrisClient } from "./iris.js";
export { browserPlatform } from "./platform/browser.js";
export type * from "./platform/platform.js";
