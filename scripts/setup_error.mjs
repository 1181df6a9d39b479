/** A set-up that cannot go on; the message is one sentence for the user. */
export class SetupError extends Error {}
