/**
 * What loss a model of a size reaches on an amount of text, by the scaling law of Hoffmann et al. 2022 ("Training Compute-Optimal Large Language Models",
 * arXiv 2203.15556), equation 10 with the constants that its approach 3 fitted: L(N, D) = E + A / N^α + B / D^β.
 *
 * It is a law for one kind of text and tokenizer (MassiveText, 32,000 tokens), for one optimizer step by step, and for models of 44M to 16B params. It
 * knows nothing of exchanges, of small vocabularies, of text seen twice: it says how much more tokens are worth, not what a validator will measure.
 */

/** The constants of approach 3. */
export const HOFFMANN = { e: 1.69, a: 406.4, alpha: 0.34, b: 410.7, beta: 0.28 } as const;

/** Sizes of the models that the law was fitted to. */
export const LAW_PARAMS = { min: 44e6, max: 16e9 } as const;

/** Nats a token that the law gives a model of `params` after `tokens`; undefined before the first token, and for models smaller than any it was fitted to. */
export function lawLoss(params: number, tokens: number): number | undefined {
  if (!(params >= LAW_PARAMS.min && tokens > 0)) return undefined;
  const { e, a, alpha, b, beta } = HOFFMANN;
  return e + a / params ** alpha + b / tokens ** beta;
}
