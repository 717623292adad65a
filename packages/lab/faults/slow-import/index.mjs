/** A module that is still loading when the SIGTERM comes, so none of its code runs yet. */
await new Promise((loaded) => setTimeout(loaded, 60_000));

export const handler = async () => ({});
