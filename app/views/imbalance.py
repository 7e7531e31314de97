"""How unequally labels are spread (section 1 of the paper): rank against count, bands, and every label in a table."""

import streamlit as st

import state
from parts import chosen_data, download_csv, label_picker, plain, provenance, scale_words
from yt8m_core import figures
from yt8m_core import label_statistics as statistics

data = chosen_data()
videos = state.videos(data)
provenance(data=(data, videos))
labels = state.labels(data)
table = labels.table
spread = statistics.imbalance(table["count"])

chart, words = st.columns([5, 3], gap="large")
with chart:
    st.plotly_chart(
        figures.rank_frequency(table, scale=scale_words(data, videos)),
        alt="Videos with each label against the rank of the label, both on log axes",
    )
with words:
    st.markdown(
        f"The most frequent **5%** of the labels hold **{spread['top_5_percent_share']:.0%}** of all "
        f"{spread['pairs']:,.0f} labels given to videos."
    )
    st.markdown(
        f"- **Head**: {spread['head_labels']:,.0f} labels hold {spread['head_share']:.0%}\n"
        f"- **Mid**: {spread['mid_labels']:,.0f} labels hold {spread['mid_share']:.0%}\n"
        f"- **Tail**: {spread['tail_labels']:,.0f} labels hold {spread['tail_share']:.0%}\n"
    )
    st.caption(
        "Head labels are the fewest that hold half of all labels given, head and mid together the fewest that hold "
        f"90%. The tail includes the labels that occur in no video here, {spread['unseen_labels']:,.0f} of "
        f"{spread['labels']:,.0f}; they are not drawn."
    )
    st.markdown(f"Gini coefficient: **{spread['gini']:.2f}**")
    st.caption("0 where all labels are equally frequent, towards 1 where one label has all the videos.")

st.subheader("Every label", anchor=False)
label = label_picker("Look up a label", labels.vocabulary)
if label is not None:
    row = table[table["label"] == label].iloc[0]
    st.markdown(
        f"**{plain(row['name'])}** is in {row['count']:,} of {labels.num_videos:,} videos with labels: rank "
        f"{row['rank']:,} of {len(table):,}, a {row['band']} label. The labels down to this rank hold "
        f"{row['cumulative_share']:.0%} of all labels given."
    )
st.dataframe(
    table[["rank", "name", "vertical", "count", "cumulative_share", "band", "label"]],
    hide_index=True,
    column_config={
        "rank": st.column_config.NumberColumn("Rank", help="1 is the most frequent label.", format="localized"),
        "name": st.column_config.TextColumn("Label", width="medium", pinned=True),
        "vertical": st.column_config.TextColumn("Topic", help="The first topic that the vocabulary gives."),
        "count": st.column_config.NumberColumn("Videos", help="Videos with this label.", format="localized"),
        "cumulative_share": st.column_config.ProgressColumn(
            "Share down to here", help="Of all labels given, the share that this label and those above it hold."
        ),
        "band": st.column_config.TextColumn("Band", help="Head, mid or tail, as told above."),
        "label": st.column_config.NumberColumn("Number", help="What the data files call the label.", format="%d"),
    },
    alt="Every label with its rank, topic, number of videos and band",
)
download_csv(table, "labels")
