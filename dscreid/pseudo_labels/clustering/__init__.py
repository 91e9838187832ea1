"""Clustering with k-reciprocal Jaccard distances and DBSCAN, with settings that are given or chosen from the data."""
