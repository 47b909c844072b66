/** The door of the SDK: what applications import. */

export type * from "./api.js";
export type * from "./client.js";
export type * from "./content/content.js";
export * from "./errors.js";
export * from "./events.js";
export type * from "./platform/platform.js";
