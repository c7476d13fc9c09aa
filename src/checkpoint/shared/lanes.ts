/** A few things at a time: enough that a distant store is not waited for after every piece, few enough that memory stays small. */

/** Pieces under way at once: 4 MiB. */
const LANES = 4;

/**
 * Does `work` for 0 to `count` − 1, each once, begun in this order, a few at a time. Begins no more once a `work` has returned false or
 * rejected; resolves or rejects when none is under way any more. Returns whether all was done.
 */
export async function inLanes(count: number, work: (index: number) => Promise<boolean>): Promise<boolean> {
  let next = 0;
  let going = true;
  const lane = async (): Promise<void> => {
    while (going && next < count) {
      const index = next++;
      try {
        if (!(await work(index))) going = false;
      } catch (thrown) {
        going = false;
        throw thrown;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(LANES, count) }, lane));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return going;
}
