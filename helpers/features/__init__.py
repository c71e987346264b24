"""What a feature fires on: top examples and their contexts, whole words, labels, search, cards."""

from helpers.features.cards import FeatureCard, Partner, feature_cards, partners_of
from helpers.features.columns import FeatureColumns, feature_columns
from helpers.features.concept_groups import ConceptGroup, ConceptGroups, load_concepts
from helpers.features.concept_truth import (
    ConceptMass,
    KnownConcepts,
    TruthScore,
    concept_mass,
    known_concepts,
    truth_score,
)
from helpers.features.concepts import ConceptFeatures, concept_features, one_sided_groups
from helpers.features.contexts import Context, context_text, context_texts, example_contexts, token_texts
from helpers.features.control_groups import ControlGroup, control_group
from helpers.features.examples import TopExamples, majority_concepts, top_examples
from helpers.features.explanations import (
    Explanations,
    export_features,
    read_answer,
    read_explanations,
    read_neuronpedia,
)
from helpers.features.feature_table import FeatureTable
from helpers.features.labels import describe_features
from helpers.features.logit_effects import LogitEffects, listed_tokens, logit_effects
from helpers.features.pair_cards import PairCard, pair_cards
from helpers.features.point_groups import feature_groups
from helpers.features.search import FeatureIndex, FoundFeatures
from helpers.features.word_borders import split_words
from helpers.features.word_truth import concepts_above, effective_number, known_words, narrowest_concepts
from helpers.features.words import WordTable, build_words

__all__ = [
    "ConceptFeatures",
    "ConceptGroup",
    "ConceptGroups",
    "ConceptMass",
    "Context",
    "ControlGroup",
    "Explanations",
    "FeatureCard",
    "FeatureColumns",
    "FeatureIndex",
    "FeatureTable",
    "FoundFeatures",
    "KnownConcepts",
    "LogitEffects",
    "PairCard",
    "Partner",
    "TopExamples",
    "TruthScore",
    "WordTable",
    "build_words",
    "concept_features",
    "concept_mass",
    "concepts_above",
    "context_text",
    "context_texts",
    "control_group",
    "describe_features",
    "effective_number",
    "example_contexts",
    "export_features",
    "feature_cards",
    "feature_columns",
    "feature_groups",
    "known_concepts",
    "known_words",
    "listed_tokens",
    "load_concepts",
    "logit_effects",
    "majority_concepts",
    "narrowest_concepts",
    "one_sided_groups",
    "pair_cards",
    "partners_of",
    "read_answer",
    "read_explanations",
    "read_neuronpedia",
    "split_words",
    "token_texts",
    "top_examples",
    "truth_score",
]
