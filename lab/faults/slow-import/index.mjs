/** A module that is still loading when the SIGTERM comes: nothing that it would bring is there yet. */
await new Promise((loaded) => setTimeout(loaded, 60_000));

export const handler = async () => ({});
