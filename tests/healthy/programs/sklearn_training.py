"""Trains and scores a few models on the same data."""
# packages: scikit-learn

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main():
    source = np.random.default_rng(7)
    data = source.normal(size=(30_000, 30))
    target = (data[:, :5].sum(axis=1) + source.normal(size=len(data)) > 0).astype(int)
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        RandomForestClassifier(n_estimators=30, max_depth=12, n_jobs=1),
        HistGradientBoostingClassifier(max_iter=40),
    ]
    for model in models:
        print(type(model).__name__, cross_val_score(model, data, target, cv=3).mean().round(3))
    print(KMeans(n_clusters=8, n_init=2, random_state=0).fit(data).inertia_ > 0)


if __name__ == "__main__":
    main()
