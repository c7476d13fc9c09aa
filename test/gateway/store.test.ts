import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { folderStore } from "../../src/store/folder.node.ts";
import { describeStore } from "../contract/store.ts";
import { testGateway } from "../helpers/gateway.ts";

const CAPABILITIES = { anyKey: false, deleting: false, listing: false };

describeStore(
  "a gateway over memory",
  async () => {
    const { as, behind, close } = await testGateway();
    return { store: as(1), behind, readable: "data/", close };
  },
  CAPABILITIES,
);

describeStore(
  "a gateway over a folder",
  async () => {
    const folder = await fs.mkdtemp(path.join(tmpdir(), "skein-gateway-"));
    const { as, behind, close } = await testGateway({ store: folderStore(folder) });
    return {
      store: as(2),
      behind,
      readable: "data/",
      close: async () => {
        await close();
        await fs.rm(folder, { recursive: true, force: true });
      },
    };
  },
  CAPABILITIES,
);
