/** For work of many at once, each of whom goes on by himself, so that one who waits for a silent store holds up no other. */

/** Does at most `count` pieces of work at once, begun in the order in which they come. */
export function atMost(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

/** Waits for the block after one: where many do, the chain is asked once. */
export function together<T>(blockAfter: (block: number) => Promise<T>): (block: number) => Promise<T> {
  let coming: { readonly block: number; readonly next: Promise<T> } | undefined;
  return (block) => {
    if (coming?.block !== block) coming = { block, next: blockAfter(block) };
    return coming.next;
  };
}
