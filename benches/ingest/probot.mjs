// The smallest app that Probot can be: one handler that only counts, and nothing is kept.
import { run } from "probot";

let opened = 0;
await run((app) => {
  app.on("pull_request.opened", () => {
    opened += 1;
  });
});
