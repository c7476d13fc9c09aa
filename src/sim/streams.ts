/**
 * Chance by name: one seed gives as many streams of random numbers as there are names. Whoever needs chance takes a name of its own, so that what one part
 * draws shifts nothing for another, and a simulation that gains a kind of fault keeps all the others where they were.
 */
import { type Random, seededRandom } from "../base/random.ts";

/** The stream of a name; the same name gives the same stream, which goes on where it was. */
export type Streams = (name: string) => Random;

/** The streams of a seed. */
export function streamsOf(seed: string): Streams {
  const streams = new Map<string, Random>();
  return (name) => {
    const stream = streams.get(name) ?? seededRandom(`${seed}/${name}`);
    streams.set(name, stream);
    return stream;
  };
}

/** Whether something of probability `p` happens. */
export function happens(random: Random, p: number): boolean {
  return random.uniform() < p;
}
