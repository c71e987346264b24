"""feature-geometry: do different language models learn the same features, and arrange them alike?

Data flows one way, and so do imports:
corpus -> models -> saes -> activations -> features, matching -> similarity, nulls, geometry -> reports.
`steering` may use models, saes, matching and geometry; `params` and `workflow` tie the notebooks together.
"""
